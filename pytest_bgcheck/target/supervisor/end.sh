# How the guard ends a check, by whoever's wish, and says in the job's state what became of it.

# up: say once that the guard is there.
up() {
    [ -z "${_told-}" ] || return 0
    _told=yes
    echo "$_id" >&8
    exec 8>&-
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

# limits: set $_left to what is left of the time-out. A clock that can be set is not asked: without
# /proc, what the guard itself has waited counts.
limits() {
    if [ -r /proc/uptime ]; then since "$_start"; else _took=${_waited:-0}; fi
    _left=$((_timeout - _took))
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

nap() { sleep 0.05 2>/dev/null || sleep 1; }
