# The states of a job, which the names of files say. Every process of a job reads them, and so do
# the requests. Nothing in a job's directory can be trusted: its check can have written it.

# number TEXT: is it a number that arithmetic can take? Of other text some shells die, and some run
# it.
number() {
    case $1 in "" | *[!0123456789]* | 0?* | ??????????*) return 1 ;; esac
}

# mark_of ID: set $_mark to what the output of this job begins with. A program that opens
# /dev/stdout by name empties the file: then the mark is gone, and Python, which takes it off, knows
# that output is lost.
mark_of() { _mark=${1##*-}; }

# find_state PREFIX: set $_state to the job's state, "" if there is none, and all that parse_state
# sets. PREFIX is "", or the job's directory with a slash. Of several states, run goes before end,
# and end before all others, since a check can make files of any name.
find_state() {
    _state="" _supervisor=0 _guard=0
    for _file in "$1"state.*; do
        _file=${_file#"$1"}
        case $_file in *[!0123456789A-Za-z.-]*) continue ;; esac
        case $_state:$_file in
        :* | state.[!r]*:state.run.* | state.r[!u]*:state.run.* | \
            state.[!er]*:state.end.* | state.e[!n]*:state.end.*)
            ! parse_state "$_file" || _state=$_file ;;
        esac
    done
}

# parse_state STATE: set what a state.run.* or a state.end.* says. Fails if the name is not that of
# a state.
parse_state() {
    IFS=.
    # shellcheck disable=SC2086 # to be split; it has no globs
    set -- $1
    unset IFS
    case ${2-}.${3-} in
    run.* | end.timeout | end.cancel | end.lost | end.unready) ;;
    exit.?* | timeout.?* | cancel.?* | lost.?* | unready.?* | refused.?*) return 0 ;;
    *) return 1 ;;
    esac
    { [ "$#" = 7 ] && number "$4" && number "$5" && number "$6" && number "$7"; } || return 1
    case $2 in
    run)
        number "$3" || return 1
        _start=$3 _timeout=$4 ;;
    end) _kind=$3 _start=$4 ;;
    esac
    _grace=$5 _supervisor=$6 _guard=$7
}
