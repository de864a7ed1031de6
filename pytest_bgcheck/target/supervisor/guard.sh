# The guard. The job's supervisor starts it in the job's directory; it enforces the job's limits,
# and ends the check when one is reached, when somebody cancels the job, or when the supervisor is
# gone. A request that waits and finds it gone starts another, which goes on where this one was.

# guard ID NAME SUPERVISOR START TIMEOUT GRACE LIMIT: SUPERVISOR and START are empty if a request
# has started it: then the job's state tells. What the job was started with is $_given_*, since its
# check can change the state.
guard() {
    _waited=0 _missed=0 _adopted="" _is_service="" _unready="" _watcher=0 _last_watcher=0 _started_watcher=0
    _same_sample="" _sample_seen="" _sample_waited=0 _stuck="" _held="" _round_ended=""
    [ ! -e look ] || _is_service=yes
    find_probe
    [ -p alive ] || abandon
    # Then a guard was killed while the check was stopped: see shorten.
    [ ! -e rest ] || signal CONT
    # Opened for reading and writing for a moment, since an open for reading would wait for a
    # writer.
    # shellcheck disable=SC2094
    exec 3<>alive 4<alive 3>&-
    while [ -n "$_given_supervisor" ]; do
        # Until the job is claimed there is nothing to guard. Its supervisor then says "go".
        hear 100 alive
        if [ "$_heard" = go ] || claimed; then break; fi
        exists "$_given_supervisor" || leave
    done
    _is_guard=yes
    if [ -n "$_sample_limit" ] && [ -r /proc/uptime ]; then now; _round_ended=$_now; fi
    while :; do
        find_state ""
        case $_state in
        state.run.*)
            [ -n "$_given_start" ] || adopt
            sign_state ;;
        state.end.*)
            say_ready
            [ -n "$_given_start" ] || adopt
            sign_state
            end_check
            leave ;;
        "")
            # The directory was removed, or the state changed in this instant, or the check has
            # renamed it.
            [ -p alive ] || abandon
            _missed=$((_missed + 1))
            if [ "$_missed" -gt 3 ]; then
                now
                _state=state.end.lost.$_now.0.1.$$
                [ -z "$_given_start" ] ||
                    _state=state.run.$_given_start.$_given_timeout.$_given_grace.$_given_supervisor.$$
                { printf "" >"$_state"; } 2>/dev/null || abandon
            fi
            nap
            continue ;;
        *)
            say_ready
            # This is a final state. Its supervisor goes when it has published; if it stays, the
            # check has made the state.
            _supervisor=${_given_supervisor:-0}
            await_supervisor 500
            [ -z "$_is_service" ] || { end_watcher; kill_all; }
            ! exists "$_supervisor" || [ "$_supervisor" = 0 ] || abandon
            leave ;;
        esac
        _missed=0
        say_ready
        find_time_left
        find_leader
        writable . || abandon
        if [ "$_given_supervisor" = 0 ]; then
            change_state "$_state" "state.end.lost.$_start.$_grace.$_supervisor.$$"
            continue
        fi
        if [ "$_left" -le 0 ]; then
            claim_limit || continue
            change_state "$_state" "state.end.$_reached.$_start.$_grace.$_supervisor.$$"
            continue
        fi
        [ -z "$_unready" ] || have_watched
        next_round "$_left"
        [ -z "$_sample_limit" ] || look_after_sample
        _before=$_left _idle=0 _seen=$_state _unready_before=$_unready
        while
            wait_round
            # Far from the limit this look is enough ten times out of eleven: three system calls.
            [ -n "$_quiet" ] && [ -z "$_unready" ] && [ "$_idle" -lt 10 ] && [ "$_before" -gt 2000 ] &&
                [ -e "$_seen" ] && [ -w . ] && sample_is_well && ! has_grown
        do
            _idle=$((_idle + 1)) _before=$((_before - _round))
            [ -z "$_sample_limit" ] || bound_round 100
        done
        case $_heard in go | look) continue ;; esac
        bound_output
        find_state ""
        [ "$_state" = "$_seen" ] || continue
        find_time_left
        { [ "$_left" -gt 0 ] && [ "$_unready" = "$_unready_before" ]; } || continue
        if [ -r /proc/uptime ]; then
            [ "$((_before - _left))" -lt "$((_round - 5))" ] || continue
        else
            ! exists "$_supervisor" || continue
        fi
        # Woken early: the supervisor is gone, or this was nothing (a signal, say).
        if looks_after "$_supervisor" . "run:$_id"; then
            sleep 1
        else
            change_state "$_state" "state.end.lost.$_start.$_grace.$_supervisor.$$"
        fi
    done
}

# adopt: take over a job whose guard is gone. Its state says who the supervisor is, and when the
# check began.
adopt() {
    _adopted=$_state _given_start=$_start _given_supervisor=0
    if looks_after "$_supervisor" . "run:$_id"; then _given_supervisor=$_supervisor; fi
}

# sign_state: put this process into the state's name, and what the job was started with, whatever
# its check has made of it.
sign_state() {
    case $_adopted in
    "" | "$_state") ;;
    # The state names another guard: one that was started because this one was not seen.
    *) [ "$_guard" = $$ ] || ! looks_after "$_guard" . "guard:$_id" || leave ;;
    esac
    [ "$_grace" -lt "$_given_grace" ] || _grace=$_given_grace
    _start=$_given_start _timeout=$_given_timeout _supervisor=$_given_supervisor
    case $_state in
    state.run.*) set -- "state.run.$_start.$_timeout.$_grace.$_supervisor.$$" ;;
    *) set -- "state.end.$_kind.$_start.$_grace.$_supervisor.$$" ;;
    esac
    [ "$_state" != "$1" ] || return 0
    change_state "$_state" "$1"
    _state=$1
}

# say_ready: say once that the guard is there.
say_ready() {
    [ -z "${_said_ready-}" ] || return 0
    _said_ready=yes
    echo "$_id" >&8
    exec 8>&-
}

# find_time_left: set $_left to what is left until a limit, and $_reached to which one. Without /proc
# there is no clock that nobody can set, and what the guard itself has waited counts.
find_time_left() {
    if [ -r /proc/uptime ]; then since "$_start"; else _took=${_waited:-0}; fi
    _left=$((_timeout - _took)) _reached=timeout
    [ -n "$_is_service" ] || return 0
    find_watcher
    if [ -n "$_unready" ] && [ "$((_ready_timeout - _took))" -lt "$_left" ]; then
        _left=$((_ready_timeout - _took)) _reached=unready
    fi
}

# find_watcher: set $_unready to the file which says that the service is not ready,
# unready.WATCHER.TIMEOUT.UMASK.CALL, or to nothing; and from its name $_watcher, $_ready_timeout and
# $_unready_rest, which is what stands behind WATCHER.
find_watcher() {
    _unready=""
    for _file in unready.*; do
        case $_file in *[!0-9a-z.]*) continue ;; esac
        _unready_rest=${_file#unready.*.} _watcher=${_file#unready.} _ready_timeout=${_file#unready.*.}
        _watcher=${_watcher%%.*} _ready_timeout=${_ready_timeout%%.*}
        if number "$_watcher" && number "$_ready_timeout"; then
            _unready=$_file
            [ "$_watcher" = 0 ] || _last_watcher=$_watcher
            return
        fi
    done
    _watcher=0
}

# claim_limit: take the service from its watcher, which would else call it ready just now.
claim_limit() {
    { [ "$_reached" = unready ] && [ "$_watcher" != 0 ]; } || return 0
    mv "$_unready" "unready.0.$_unready_rest" 2>/dev/null || { nap; return 1; }
}

# have_watched: start the watcher of a service that is not ready, unless it is there.
have_watched() {
    [ "$_watcher" != 0 ] || _watcher=$_started_watcher
    if [ "$_watcher" = 0 ] || ! looks_after "$_watcher" .; then
        (exec $_setsid "$_sh" ../supervisor.sh watch "$_sh" "$_id" "watch:$_id" "$_limit" 4<&- 8>&-) &
        _started_watcher=$!
    fi
}

# end_watcher: kill the watcher, if there is one: it would look once more. Where the variables of
# processes cannot be seen, it alone knows those of its ready command: it ends them when it sees that
# it is over.
end_watcher() {
    { [ -n "$_is_service" ] && [ -r /proc/self/environ ]; } || return 0
    find_watcher
    for _pid in "$_last_watcher" "$_started_watcher"; do
        [ "$_pid" = 0 ] || ! looks_after "$_pid" . "watch:$_id" || kill -KILL "$_pid" 2>/dev/null
    done
}

# wait_round: wait for $_round, or until something is heard. If a second more has passed since the last time,
# all here was stopped, or the computer was: then a probe's sample that runs was held up, and whether it is
# good or bad tells nothing of that time. A prober that asks is told: see was_held.
wait_round() {
    hear "$_round" alive
    _waited=$((_waited + _round))
    [ -n "$_round_ended" ] || return 0
    since "$_round_ended"
    _round_ended=$_now
    if [ "$_took" -gt "$((_round + 150))" ]; then
        find_sample
        _held=$_sample_start
        [ "$_leader" = none ] || say_held yes
    fi
    if [ "$_heard" = look ]; then
        find_sample
        [ "$_sample_start" = "$_held" ] || say_held no
        _quiet=yes
    fi
}

say_held() {
    [ -e held ] && [ ! -f held ] || { printf "%s %s\n" "$_sample_start" "$1" >held; } 2>/dev/null
}

# look_after_sample: end the sample that has taken its limit, and bound the round by the next one that
# may.
look_after_sample() {
    sample_is_well || end_sample
    bound_round "$_round"
}

# sample_is_well: has the sample that runs, if any, some of its time left? Sets $_sample_left to how much,
# or to what one has that begins now, and $_same_sample if it is that of the last look.
sample_is_well() {
    [ -n "$_sample_limit" ] || return 0
    find_sample
    _same_sample=""
    if [ "$_sample_start" = "$_sample_seen" ]; then _same_sample=yes; else _sample_waited=$_waited; fi
    _sample_seen=$_sample_start _sample_left=$_sample_limit
    [ "$_leader" != none ] || return 0
    if [ -r /proc/uptime ]; then since "$_sample_start"; else _took=$((_waited - _sample_waited)); fi
    _sample_left=$((_sample_limit - _took))
    [ "$_sample_left" -gt 0 ]
}

# bound_round ROUND: set $_round to ROUND, or to what the sample has left, if that is less. With shorter
# ones than a tenth of a second it could not be told that the supervisor is gone.
bound_round() {
    _round=$1
    if [ "$_sample_left" -le 0 ] || [ "$_round" -le "$_sample_left" ]; then return 0; fi
    _round=$_sample_left
    [ "$_round" -ge 10 ] || _round=10
}

# end_sample: kill the sample that has taken its limit, unless it has ended meanwhile: its supervisor
# sees that. One that cannot be killed is tried again after 10 s.
end_sample() {
    _rounds=0
    case $_stuck in
    "$_sample_start":*)
        [ "$((_waited - ${_stuck#*:}))" -ge 1000 ] || return 0
        _rounds=18 ;;
    esac
    _hung=$_leader.$_leader_born.$_sample_start
    # Found first, and only then compared: what was found before another sample begins is not its own.
    while
        find_tree
        [ "$_leader.$_leader_born.$_sample_start" = "$_hung" ] && [ "$_rounds" -lt 20 ] &&
            # Where no process can be seen, once.
            { [ -n "$_tree" ] || [ "$_rounds$_table" = 0 ]; }
    do
        send KILL
        _rounds=$((_rounds + 1))
        nap
    done
    _stuck=$_sample_seen:$_waited
    [ -z "$_round_ended" ] || { now; _round_ended=$_now; }
}

# wake_prober: have a prober that waits for its next sample see that the state has changed. Not one that runs
# a sample: it does not listen, and sees that by itself.
wake_prober() {
    if [ "$_leader" = none ] && [ -p ask ]; then echo "${_newline}end" 1<>ask; fi
}

# change_state OLD NEW: rename the state, unless somebody else has. If it cannot be renamed, the
# job's end cannot be told here any more: then nothing of the check is left, and the request that
# waits sees that the guard is gone.
change_state() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        mv "$1" "$2" 2>/dev/null && return
        [ -e "$1" ] || return 0
        ! denied "$1" || break
        nap
    done
    abandon
}

# abandon: kill the check, and go without a word.
abandon() {
    end_watcher
    end_prober
    kill_all
    leave
}

# end_prober: kill the prober, if there is one: it would take another sample, or hang in a FIFO that a sample
# has filled.
end_prober() {
    if [ -n "${_sample_limit-}" ] && looks_after "${_given_supervisor:-0}" . "run:$_id"; then
        kill -KILL "$_given_supervisor" 2>/dev/null
    fi
}

# end_check: send TERM, wait for the grace period at most, and send KILL in any case, since the
# leader may be gone while its children live. Then publish. A lost job gets no grace: nothing takes
# its exit code.
#
# The NOTE in the state is x, or T if the check was found stopped, and the ids of the suspects, each
# with a hyphen ahead.
end_check() {
    if [ -r /proc/uptime ]; then since "$_start"; else _took=$_waited; fi
    _ended_after=$_took
    find_birth "$_supervisor"
    _oldest=$_born
    find_leader
    find_birth "$_leader"
    case $_stat in T) _note=T ;; *) _note=x ;; esac
    end_watcher
    [ -z "$_sample_limit" ] || wake_prober
    [ "$_kind" = lost ] || { signal TERM; await_supervisor "$_grace"; }
    end_prober
    kill_all
    # shellcheck disable=SC2086 # counted as words
    set -- $_tree
    find_suspects
    for _word in state.end.*; do
        change_state "$_word" "state.$_kind.$_ended_after.$_attempt.$#.$_note$_suspects${_last:+.$_last}"
    done
    ring "$_id"
}

# await_supervisor CENTISECONDS: wait for so long at most until the supervisor has gone: the check
# has ended.
await_supervisor() {
    now
    _begun=$_now
    while [ "$_supervisor" != 0 ] && exists "$_supervisor"; do
        since "$_begun"
        [ "$_took" -lt "$1" ] || break
        next_round $(($1 - _took))
        hear "$_round" alive
        bound_output
        ! exists "$_supervisor" || nap
    done
}

# leave: end for good. A guard that ends in any other way begins again: if something that it reads
# makes the shell fail, the check must not go on without limits.
leave() {
    trap - EXIT
    exit 0
}

# begin_again: run when the shell exits.
begin_again() {
    [ -z "${_said_ready-}" ] || exec 8>/dev/null
    nap
    find_guard_shell
    exec "$_guard_shell" $_shell_option ../supervisor.sh guard "$_sh" "$_id" "guard:$_id" "$_given_supervisor" \
        "$_given_start" "$_given_timeout" "$_given_grace" "$_limit" 8>&8 4<&-
}
