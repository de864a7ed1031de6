# What becomes the check. The supervisor runs it in the job's directory, once for each attempt. It
# leads the session that is killed at the end, and its last act is to execute the check's program.

# find_birth PID: set $_born to when the process was born, in ticks, 0 if that is not known, and
# $_stat to the letter of its state. A process can have any name, with newlines and parentheses in
# it, so only what follows the last parenthesis counts.
find_birth() {
    _stat="" _born=0
    while read -r _line; do _stat=${_line##*\) }; done 2>/dev/null <"/proc/$1/stat" || return 0
    # shellcheck disable=SC2086 # words
    set -- $_stat
    _stat=${1-}
    case ${20-} in "" | *[!0123456789]*) ;; *) _born=${20} ;; esac
}

# launch ID ATTEMPT CALL UMASK LAST: prepare for the check's program, which ./spec then executes.
# CALL is the start that has stored the login's directory, LAST is the exit code of the attempt
# before. The ATTEMPT 0 is a sample of a probe, and then LAST is when it began.
launch() {
    PYTEST_BGCHECK_JOB=$_id _job=$PWD _cwd=""
    export PYTEST_BGCHECK_JOB
    find_birth $$
    mark_of "$_id"
    if [ "$2" = 0 ]; then
        begin_sample "$5"
    elif [ "$2" -gt 1 ]; then
        for _word in pid.*; do mv "$_word" "pid.$$.$2.$_born$5"; done 2>/dev/null
        rm -f out err cut.* hole.* again.*
        # again.ATTEMPT says that these are the files of this attempt: see follow.sh.
        { printf "%s" "$_mark" >out && printf "%s" "$_mark" >err && printf "" >"again.$2"; } 2>/dev/null ||
            refuse_run output
    else
        { printf "" >"pid.$$.1.$_born"; } 2>/dev/null || refuse_run output
    fi
    # Whoever ends the job first changes its state, and then looks for this file. Here it is the
    # other way round, so that one of the two sees the other.
    find_state ""
    case $_state in state.run.* | "") ;; *) exit 125 ;; esac
    # An exec that cannot redirect would end the shell, and its exit code be taken for the check's.
    if ! { true >>out && true >>err; } 2>/dev/null; then refuse_run output; fi
    exec >>out 2>>err
    read_home "../home.$3" || refuse_run home
    umask "$4"
}

# begin_sample START: say which process the sample is that begins, and empty the output of the one
# before. By builtins alone, unless that was cut, or is no file. On a full disk what is written in
# place still has its room.
begin_sample() {
    # The next sample may find what this one lacks.
    refuse_run() {
        printf "refused %s\n" "$1" 1<>"$_job/sample"
        exit 125
    }
    [ -f sample ] || rm -rf ./sample
    { printf "%s %s %s\n" "$$" "$_born" "$1" 1<>sample; } 2>/dev/null
    _stale=
    for _word in cut.* hole.*; do [ ! -e "$_word" ] || _stale=yes; done
    for _word in out err; do
        if [ -h "$_word" ] || [ ! -f "$_word" ]; then _stale=yes; fi
    done
    [ -z "$_stale" ] || rm -rf ./out ./err cut.* hole.*
    { printf "%s" "$_mark" >out; printf "%s" "$_mark" >err; } 2>/dev/null
}

# read_home FILE: set $_home to the directory that it names, if the file is whole. It is no
# argument, since a check may look for a word of its own in the arguments of all processes.
read_home() {
    _home=
    while IFS= read -r _line; do _home=$_home$_line$_newline; done 2>/dev/null <"$1"
    case $_home in *"$_newline.$_newline") _home=${_home%"$_newline.$_newline"} ;; *) return 1 ;; esac
}

# enter DIRECTORY: have the check run there. Called by the specification; `become` enters it, since
# until then this process has to be in the job's directory.
enter() { _cwd=$1; }

# become NAME=VALUE... PROGRAM ARGUMENT...: execute the check's program with the login's environment
# and these variables. Called by the specification. env sets them, since some names a shell cannot
# set, and some mean something to it; and env takes nothing for an option that stands behind a
# variable.
become() {
    go_to_directory
    _pwd=$PWD _aside=${PYTEST_BGCHECK_ASIDE:-0}
    set -- "PYTEST_BGCHECK_JOB=$_id" "$@"
    # Shells set these though the login had none. They set SHLVL too, but ksh93 dies of its unset.
    [ "$_aside" = 0 ] || unset LOGNAME OLDPWD PWD
    while [ "$_aside" -gt 0 ]; do
        eval "_word=\$PYTEST_BGCHECK_$_aside"
        case $_cwd:$_word in ?*:PWD=*) _word=PWD=$_pwd ;; esac
        set -- "$_word" "$@"
        unset "PYTEST_BGCHECK_$_aside"
        _aside=$((_aside - 1))
    done
    _without=${PYTEST_BGCHECK_WITHOUT-}
    unset PYTEST_BGCHECK_ASIDE PYTEST_BGCHECK_WITHOUT
    # shellcheck disable=SC2086 # words
    exec env $_without "$@"
}

# go_to_directory: enter the check's directory, $_cwd, or else the login's.
go_to_directory() {
    # sudo can start us in a directory that its user may not enter again. Then a check that has named
    # no directory runs in /, and one that has named one within that cannot be run.
    if ! cd -- "$_home" 2>/dev/null; then
        cd /
        case $_cwd in "" | /*) ;; *) refuse_run cwd-closed ;; esac
    fi
    # "cd -" would go elsewhere.
    case $_cwd in "") return ;; /*) _word=$_cwd ;; *) _word=./$_cwd ;; esac
    ! cd -- "$_word" 2>/dev/null || return 0
    [ ! -d "$_word" ] || refuse_run cwd-closed
    [ ! -e "$_word" ] || refuse_run cwd-file
    # What lies below a directory that may not be entered cannot be seen.
    while [ ! -d "$_word" ]; do _word=${_word%/*} && _word=${_word:-/}; done
    [ ! -x "$_word" ] || refuse_run cwd
    refuse_run cwd-closed
}

# refuse_run WHY: say that the check could not be run. By a rename: there may be no space for
# another file.
refuse_run() {
    mv "$_job/spec" "$_job/refused.$1"
    exit 125
}
