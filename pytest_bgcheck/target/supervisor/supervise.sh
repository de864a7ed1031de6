# The supervisor: run in a job's new directory by the start. It claims the job, runs the check in the
# foreground, once or again and again, and publishes how it ended.

# ring ID: wake every waiter for its group; from a job's directory.
ring() {
    for _bell in ../bell."${1#"${1%????}"}".*; do
        [ -p "$_bell" ] && echo "$1" 1<>"$_bell"
    done
    return 0
}

# lent: set $_lent to the option with which bash takes no function and no option from the environment,
# where it comes behind a shell that hands them on without knowing them.
lent() {
    case $_gsh in */bash) _lent=-p ;; *) _lent= ;; esac
}

# supervise ID WORD NEW TIMEOUT GRACE RETRY RCS CALL GUARD_SHELL UMASK LIMIT
supervise() {
    _new=$3 _most=$4 _retry=$6 _rcs=$7 _call=$8 _gsh=$9 _mask=${10}
    lent
    cd "$_new" || exit 1
    exec 9<>alive
    now
    _from=$_now
    (exec $_setsid "$_gsh" $_lent ../supervisor.sh guard "$_sh" "$_id" "guard:$_id" "$$" \
        "$_from" "$_most" "$5" "${11}" 8>&8 9<&-) &
    _state=state.run.$_from.$_most.$5.$$.$!
    if ! { printf "" >"$_state" && mv "../$_new" "../$_id" && claimed; } 2>/dev/null; then
        # Another caller was first. Our guard has nothing to guard; and if it only begins when this
        # directory is gone, it takes the job for a lost one, and ends the other's check.
        { kill -KILL "$!"; wait "$!"; } 2>/dev/null
        # "cd .." would not do: some shells remember where they were.
        rm -rf "../$_new"
        exit 0
    fi
    exec 8>&-
    echo go >&9
    _attempt=1
    while :; do
        (exec $_setsid "$_sh" ../supervisor.sh launch "$_sh" "$_id" "$_attempt" "$_call" "$_mask" "$_last" \
            9<&-)
        _rc=$?
        # killed by signal n: 256 + n in ksh93, 384 + n in yash, 128 + n elsewhere
        [ "$_rc" -gt 384 ] && _rc=$((_rc - 128))
        [ "$_rc" -gt 256 ] && _rc=$((_rc - 128))
        for _word in refused.cwd refused.output; do
            [ ! -e "$_word" ] || publish "state.$_word"
        done
        case ",$_rcs," in *",$_rc,"*) break ;; esac
        [ -n "$_retry" ] || break
        # Else it was ended, and this is no exit code of its own.
        still_runs || exit 0
        _last=.$_rc
        for _word in pid.*; do mv "$_word" "pid.0.$_attempt.0$_last"; done 2>/dev/null
        # By env: where sleep is a builtin (ksh) this would be our own process, not to be ended.
        env PYTEST_BGCHECK_JOB="$_id" sleep "$_retry" 9<&-
        still_runs || exit 0
        _attempt=$((_attempt + 1))
    done
    since "$_from"
    # The clock on the wall may have been set.
    [ -r /proc/uptime ] || [ "$_took" -le "$_most" ] || _took=$_most
    # Nobody tells of output that could not be written, but a byte more cannot be written either.
    _full=
    set -- pid.*
    if [ -f "$1" ]; then
        echo 2>/dev/null >"$1"
        [ -s "$1" ] || _full=.full
    fi
    publish "state.exit.$_rc.$_took.$_attempt$_full"
}

# publish STATE: as the end of a job that runs, without delay: somebody waits. Whoever may have
# claimed it in this instant, the guard, has the verdict; but a new guard only writes its own number
# into the name.
publish() {
    _tries=0
    while still_runs && [ "$_tries" -lt 10 ]; do
        if mv "$_state" "$1" 2>/dev/null; then
            ring "$_id"
        elif [ -e "$_state" ]; then
            # No space, or no process or file to be had just now.
            _tries=$((_tries + 1))
            sleep 0.05 2>/dev/null || sleep 1
        fi
    done
    exit 0
}

# still_runs: so its state says.
still_runs() {
    find_state ""
    case $_state in state.run.*) ;; *) return 1 ;; esac
}

# claimed: is this directory the job's?
claimed() {
    # shellcheck disable=SC3013 # every shell has it
    [ . -ef "../$_id" ]
}
