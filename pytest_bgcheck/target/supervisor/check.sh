# Becomes the check: run in the job's directory by its supervisor, once for each attempt. This process
# is the leader of the session that will be killed, and its last act is an exec of the check's program.

# born PID: set $_born to when it was born, in ticks, 0 if unknown; and $_stat to its state's letter. A
# process names itself as it likes, with newlines and parentheses: only the last line has the numbers.
born() {
    _stat="" _born=0
    while read -r _line; do _stat=${_line##*\) }; done 2>/dev/null <"/proc/$1/stat" || return 0
    # shellcheck disable=SC2086 # words
    set -- $_stat
    _stat=${1-}
    case ${20-} in "" | *[!0123456789]*) ;; *) _born=${20} ;; esac
}

# launch ID ATTEMPT CALL UMASK LAST: become the check. The leader of the session that will be killed
# is this. CALL is the start that knows the login's directory, LAST the exit code of the attempt before.
launch() {
    PYTEST_BGCHECK_JOB=$_id _job=$PWD _cwd=""
    export PYTEST_BGCHECK_JOB
    born $$
    mark_of "$_id"
    if [ "$2" -gt 1 ]; then
        for _word in pid.*; do mv "$_word" "pid.$$.$2.$_born$5"; done 2>/dev/null
        rm -f out err cut.*
        { printf "%s" "$_mark" >out && printf "%s" "$_mark" >err; } 2>/dev/null || refuse_run output
    else
        { printf "" >"pid.$$.1.$_born"; } 2>/dev/null || refuse_run output
    fi
    # Whoever ends the job changes its state and then looks for this file; we look the other way round.
    find_state ""
    case $_state in state.run.* | "") ;; *) exit 125 ;; esac
    # An exec that cannot redirect ends a shell, with a code that would be taken for the check's.
    if ! { true >>out && true >>err; } 2>/dev/null; then refuse_run output; fi
    exec >>out 2>>err
    read_home "../home.$3" || refuse_run cwd
    umask "$4"
}

# read_home FILE: set $_home to the directory that it names, if it is whole. Not an argument: a check may
# look for its words in everybody's.
read_home() {
    _home=
    while IFS= read -r _line; do _home=$_home$_line$_newline; done 2>/dev/null <"$1"
    case $_home in *"$_newline.$_newline") _home=${_home%"$_newline.$_newline"} ;; *) return 1 ;; esac
}

# enter DIRECTORY: where the check runs; for the specification, which is read in the job's directory: its
# path may lead elsewhere by now.
enter() { _cwd=$1; }

# become NAME=VALUE... PROGRAM ARGUMENT...: for the specification, with the login's environment and these
# variables. They are set by env, since a shell has names of its own that cannot be set, or mean something
# to it; and env takes no option behind a variable.
become() {
    # sudo starts us in directories that its user cannot enter again; and "cd -" would go elsewhere.
    cd -- "$_home" 2>/dev/null || cd /
    case $_cwd in "") ;; /*) cd -- "$_cwd" ;; *) cd -- "./$_cwd" ;; esac || refuse_run cwd
    _pwd=$PWD _aside=${PYTEST_BGCHECK_ASIDE:-0}
    set -- "PYTEST_BGCHECK_JOB=$_id" "$@"
    # Shells set these though the login had none; and SHLVL, of whose unset ksh93 dies.
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

# refuse_run WHY: from what was to become the check. There may be no space for another file.
refuse_run() {
    mv "$_job/spec" "$_job/refused.$1"
    exit 125
}
