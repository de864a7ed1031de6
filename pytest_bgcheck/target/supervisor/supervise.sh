# The supervisor. The start runs it in the run's directory, one for each job. It claims the job,
# starts its guard, runs the check in the foreground, once or until its exit code is accepted, and
# publishes its end.

# ring ID: wake all requests that wait for the job's group. Called in a job's directory.
ring() {
    for _bell in ../bell."${1#"${1%????}"}".*; do
        [ -p "$_bell" ] && echo "$1" 1<>"$_bell"
    done
    return 0
}

# find_shell_option: set $_shell_option to what $_guard_shell is to be started with. bash: take no
# function and no option from the environment, which a shell that knows neither hands on.
find_shell_option() {
    case $_guard_shell in */bash) _shell_option=-p ;; *) _shell_option= ;; esac
}

# supervise ID WORD NEW TIMEOUT GRACE RETRY RCS CALL GUARD_SHELL UMASK LIMIT: NEW is the directory
# in which the job was prepared by the start CALL.
supervise() {
    _new=$3 _given_timeout=$4 _given_grace=$5 _retry=$6 _rcs=$7 _call=$8
    _guard_shell=$9 _mask=${10} _limit=${11}
    find_shell_option
    cd "$_new" || exit 1
    exec 9<>alive
    now
    _from=$_now
    (exec $_setsid "$_guard_shell" $_shell_option ../supervisor.sh guard "$_sh" "$_id" "guard:$_id" "$$" \
        "$_from" "$_given_timeout" "$_given_grace" "$_limit" 8>&8 9<&-) &
    _state=state.run.$_from.$_given_timeout.$_given_grace.$$.$!
    if ! { printf "" >"$_state" && mv "../$_new" "../$_id" && claimed; } 2>/dev/null; then
        # Another caller was first, and this guard has nothing to guard. If it began when this
        # directory is gone, it would take the job for a lost one, and end the other's check.
        { kill -KILL "$!"; wait "$!"; } 2>/dev/null
        # Not after "cd ..": some shells remember the path by which they came.
        rm -rf "../$_new"
        exit 0
    fi
    exec 8>&-
    echo go >&9
    # Where a command that runs in the foreground is ended by one of these, ksh93 ends too.
    trap : INT QUIT
    [ ! -p ask ] ||
        exec "$_guard_shell" $_shell_option ../supervisor.sh probe "$_sh" "$_id" "run:$_id" "$_from" "$_rcs" \
            "$_call" "$_mask" 9>&9
    _attempt=1
    while :; do
        (exec $_setsid "$_sh" ../supervisor.sh launch "$_sh" "$_id" "$_attempt" "$_call" "$_mask" "$_last" \
            9<&-)
        _rc=$?
        exit_code
        for _word in cwd cwd-closed cwd-file home output; do
            [ ! -e "refused.$_word" ] || publish "state.refused.$_word"
        done
        # A service may have left a daemon, or something that has to end with it.
        [ ! -e look ] || ! still_runs ||
            exec "$_sh" ../supervisor.sh stay "$_sh" "$_id" "run:$_id" "$_from" "$_given_timeout" "$_rc" \
                "$_call" "$_mask" 9>&9
        case ",$_rcs," in *",$_rc,"*) break ;; esac
        [ -n "$_retry" ] || break
        # If it was ended by the guard, this is no exit code of its own.
        still_runs || exit 0
        _last=.$_rc
        for _word in pid.*; do mv "$_word" "pid.0.$_attempt.0$_last"; done 2>/dev/null
        # By env: where sleep is a builtin (ksh) it would be in this process, which is not to be
        # ended. It carries the check's mark, so that the guard can end it.
        env PYTEST_BGCHECK_JOB="$_id" sleep "$_retry" 9<&-
        still_runs || exit 0
        _attempt=$((_attempt + 1))
    done
    publish_exit
}

# exit_code: make $_rc, which is what the shell has told of a process, the exit code. Killed by the
# signal n is 256 + n in ksh93, 384 + n in yash, 128 + n elsewhere.
exit_code() {
    [ "$_rc" -le 384 ] || _rc=$((_rc - 128))
    [ "$_rc" -le 256 ] || _rc=$((_rc - 128))
}

# publish_exit: publish that it has ended with $_rc.
publish_exit() {
    since "$_from"
    # Without /proc the time is that of the wall clock, which somebody may have set meanwhile.
    [ -r /proc/uptime ] || [ "$_took" -le "$_given_timeout" ] || _took=$_given_timeout
    # Nothing says that output could not be written for lack of space. But then another byte cannot
    # be written either.
    _full=
    set -- pid.*
    if [ -f "$1" ]; then
        echo 2>/dev/null >"$1"
        [ -s "$1" ] || _full=.full
    fi
    publish "state.exit.$_rc.$_took.$_attempt$_full${_suspects:+.x$_suspects}"
}

# publish STATE: make it the end of a job that runs, and exit. Without delay, since somebody waits.
# If the guard ends the check in this instant, the guard's verdict counts; a new guard only changes
# the name, to have its own process id in it.
publish() {
    _tries=0
    while still_runs && [ "$_tries" -lt 10 ]; do
        if mv "$_state" "$1" 2>/dev/null; then
            ring "$_id"
        elif [ -e "$_state" ]; then
            # There is no space, or no process or file to be had just now.
            _tries=$((_tries + 1))
            nap
        fi
    done
    exit 0
}

# still_runs: is that the job's state?
still_runs() {
    find_state ""
    case $_state in state.run.*) ;; *) return 1 ;; esac
}

# claimed: is this directory the job's?
claimed() {
    # shellcheck disable=SC3013 # every shell has it
    [ . -ef "../$_id" ]
}
