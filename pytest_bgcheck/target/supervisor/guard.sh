# The guard: enforces the limits of one job, in its directory. It is started by the job's supervisor,
# and again by whoever waits and finds it gone.

# guard ID NAME SUPERVISOR START TIMEOUT GRACE LIMIT: see the top of this file. It can be started again at any
# time, and goes on; SUPERVISOR and START are empty if a waiter has started it.
guard() {
    _waited=0 _missed=0 _adopted=""
    [ -p alive ] || abandon
    # A guard was ended while it held the check.
    [ ! -e rest ] || signal CONT
    # Opened both ways for a moment, so that it never waits for a writer; then EOF means: no writer.
    # shellcheck disable=SC2094
    exec 3<>alive 4<alive 3>&-
    while [ -n "$_boss" ]; do
        # Until the job is claimed there is nothing to guard. Then comes "go", if all is well.
        hear 100 alive
        if [ "$_heard" = go ] || claimed; then break; fi
        exists "$_boss" || leave
    done
    _guards=yes
    while :; do
        find_state ""
        case $_state in
        state.run.*)
            [ -n "$_begun_at" ] || adopt
            own ;;
        state.end.*)
            up
            [ -n "$_begun_at" ] || adopt
            own
            ending
            leave ;;
        "")
            # Removed; or we have looked at it just as it changed; or the check has renamed it.
            [ -p alive ] || abandon
            _missed=$((_missed + 1))
            if [ "$_missed" -gt 3 ]; then
                now
                _state=state.end.lost.$_now.0.1.$$
                [ -z "$_begun_at" ] || _state=state.run.$_begun_at.$_most.$_patience.$_boss.$$
                { printf "" >"$_state"; } 2>/dev/null || abandon
            fi
            nap
            continue ;;
        *)
            up
            # Its supervisor goes when it has published; if it stays, the check has made this state.
            _sup=${_boss:-0}
            await_supervisor 500
            ! exists "$_sup" || [ "$_sup" = 0 ] || abandon
            leave ;;
        esac
        _missed=0
        up
        limits
        job_facts
        writable . || abandon
        if [ "$_boss" = 0 ]; then
            turn "$_state" "state.end.lost.$_start.$_grace.$_sup.$$"
            continue
        fi
        if [ "$_left" -le 0 ]; then
            turn "$_state" "state.end.timeout.$_start.$_grace.$_sup.$$"
            continue
        fi
        rounds "$_left"
        _before=$_left _idle=0 _seen=$_state
        while
            hear "$_round" alive
            _waited=$((_waited + _round))
            # Ten times out of eleven, far from the limit, this look is enough: three system calls.
            [ -n "$_quiet" ] && [ "$_idle" -lt 10 ] && [ "$_before" -gt 2000 ] && [ -e "$_seen" ] && [ -w . ] &&
                ! has_grown
        do
            _idle=$((_idle + 1)) _before=$((_before - _round))
        done
        [ "$_heard" != go ] || continue
        bound_output
        find_state ""
        [ "$_state" = "$_seen" ] || continue
        limits
        [ "$_left" -gt 0 ] || continue
        if [ -r /proc/uptime ]; then
            [ "$((_before - _left))" -lt "$((_round - 5))" ] || continue
        else
            ! exists "$_sup" || continue
        fi
        # Woken early: the supervisor is gone, or this was a false alarm (a signal, say).
        if lives "$_sup" . "run:$_id"; then
            sleep 1
        else
            turn "$_state" "state.end.lost.$_start.$_grace.$_sup.$$"
        fi
    done
}

# adopt: the job of a guard that is gone, from its state, which says who the supervisor is, if there is
# one, and when the check began.
adopt() {
    _adopted=$_state _begun_at=$_start _boss=0
    if lives "$_sup" . "run:$_id"; then _boss=$_sup; fi
}

# own: see to it that the state's name says our number, and nothing else than what the job was started
# with, whatever its check has made of it.
own() {
    case $_adopted in
    "" | "$_state") ;;
    # It is another guard's, which was started when we were not seen.
    *) [ "$_gid" = $$ ] || ! lives "$_gid" . "guard:$_id" || leave ;;
    esac
    [ "$_grace" -lt "$_patience" ] || _grace=$_patience
    _start=$_begun_at _timeout=$_most _sup=$_boss
    case $_state in
    state.run.*) set -- "state.run.$_start.$_timeout.$_grace.$_sup.$$" ;;
    *) set -- "state.end.$_kind.$_start.$_grace.$_sup.$$" ;;
    esac
    [ "$_state" != "$1" ] || return 0
    turn "$_state" "$1"
    _state=$1
}

# up: say once that the guard is there.
up() {
    [ -z "${_told-}" ] || return 0
    _told=yes
    echo "$_id" >&8
    exec 8>&-
}

# limits: set $_left to what is left of the time-out. A clock that can be set is not asked: without
# /proc, what the guard itself has waited counts.
limits() {
    if [ -r /proc/uptime ]; then since "$_start"; else _took=${_waited:-0}; fi
    _left=$((_timeout - _took))
}

# turn OLD NEW: change the state. Somebody else may have; but if nobody can, nothing can be told here
# any more, and all there is to do is to leave nothing. Whoever waits sees that we are gone.
turn() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        mv "$1" "$2" 2>/dev/null && return
        [ -e "$1" ] || return 0
        ! denied "$1" || break
        nap
    done
    abandon
}

abandon() {
    kill_all
    leave
}

# ending: TERM, up to the grace period, then KILL in any case (the leader may be gone while
# its children live); then publish. A lost job gets no grace: nobody would take its exit code.
#
# The NOTE is x, or T if the check was found stopped, and the ids of the suspects, with hyphens.
ending() {
    if [ -r /proc/uptime ]; then since "$_start"; else _took=$_waited; fi
    _ended=$_took
    job_facts
    born "$_leader"
    case $_stat in T) _note=T ;; *) _note=x ;; esac
    [ "$_kind" = lost ] || { signal TERM; await_supervisor "$_grace"; }
    kill_all
    # shellcheck disable=SC2086 # counted as words
    set -- $_tree
    suspects
    for _word in state.end.*; do
        turn "$_word" "state.$_kind.$_ended.$_attempt.$#.$_note$_suspects${_last:+.$_last}"
    done
    ring "$_id"
}

# await_supervisor CENTISECONDS: until the supervisor has gone (the check has ended), or the time-out.
await_supervisor() {
    now
    _begun=$_now
    while [ "$_sup" != 0 ] && exists "$_sup"; do
        since "$_begun"
        [ "$_took" -lt "$1" ] || break
        rounds $(($1 - _took))
        hear "$_round" alive
        bound_output
        ! exists "$_sup" || nap
    done
}

# leave: for good. A guard that ends in another way begins again: an error of its own in what it has read
# must not leave a check without limits.
leave() {
    trap - EXIT
    exit 0
}

begin_again() {
    [ -z "${_told-}" ] || exec 8>/dev/null
    nap
    guard_shell
    exec "$_gsh" $_lent ../supervisor.sh guard "$_sh" "$_id" "guard:$_id" "$_boss" "$_begun_at" "$_most" "$_patience" "$_limit" \
        8>&8 4<&-
}
