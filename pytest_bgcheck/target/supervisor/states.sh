# The states of a job, as the names of files say them: every process of a job reads them, and so do the
# requests. All of it was written by whoever may write in the job's directory, which its check can.

# number TEXT: is it one that arithmetic can take? All that stands in a job's directory can have been
# put there by its check, and some shells die of arithmetic with other text, or run it.
number() {
    case $1 in "" | *[!0123456789]* | 0?* | ??????????*) return 1 ;; esac
}

# mark_of ID: set $_mark to what its output begins with. A program that opens /dev/stdout by name empties
# the file that others have written to: then it is not there any more. Python takes it off.
mark_of() { _mark=${1##*-}; }

# find_state PREFIX: set $_state to the job's state, "" if there is none, and what it says; PREFIX is "",
# or the job's directory with a slash. Other names are none: a check can make them.
find_state() {
    _state="" _sup=0 _gid=0
    for _file in "$1"state.*; do
        _file=${_file#"$1"}
        case $_file in *[!0123456789A-Za-z.-]*) continue ;; esac
        case $_state:$_file in
        :* | state.[!r]*:state.run.* | state.r[!u]*:state.run.* | state.[!er]*:state.end.* | state.e[!n]*:state.end.*)
            ! facts "$_file" || _state=$_file ;;
        esac
    done
}

# facts STATE: set what the name of a state.run.* or a state.end.* says; fails if it is no state's.
facts() {
    IFS=.
    # shellcheck disable=SC2086 # split here; no globs
    set -- $1
    unset IFS
    case ${2-}.${3-} in
    run.* | end.timeout | end.cancel | end.lost) ;;
    exit.?* | timeout.?* | cancel.?* | lost.?* | refused.?*) return 0 ;;
    *) return 1 ;;
    esac
    { [ "$#" = 7 ] && number "$4" && number "$5" && number "$6" && number "$7"; } || return 1
    case $2 in
    run)
        number "$3" || return 1
        _start=$3 _timeout=$4 ;;
    end) _kind=$3 _start=$4 ;;
    esac
    _grace=$5 _sup=$6 _gid=$7
}
