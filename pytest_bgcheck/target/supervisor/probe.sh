# The prober: what the supervisor of a probe becomes. It runs the probe's command again and again, each
# time as a sample, and keeps account of them: see windows.sh.
#
# A probe is a job with these files beside those of every job:
#
#   probe.EVERY.LIMIT   from the start of one sample to that of the next, and how long each may take, in
#                       centiseconds. Guard and prober read it once, at their beginning
#   sample              its first line is "PID BORN START" while a sample runs, "0 0 START" behind it, or
#                       "refused WHY". Its launcher writes it, and when it has ended the prober. The guard
#                       reads it, and kills the sample that has had its time
#   held                "START yes": the guard says of that sample that it was held up, or "START no"
#   first               renamed to ready.CENTISECONDS when the first sample was taken, so long after the start
#   ask                 a FIFO, by which requests speak to the prober: "open WID STAMP", "close WID STAMP
#                       CALL"; and the guard: "end", when the state has changed; each behind an empty line
#   full                no more windows can be open
#   counts, outages, window.WID      what was seen: see windows.sh
#
# A sample that could not be run (its rc is 126 or 127, and that is no good one), or that was ended with the
# probe, is not taken: it says nothing.

# probe START RCS CALL UMASK: the prober of a probe that was started by CALL.
probe() {
    _from=$1 _rcs=$2 _call=$3 _mask=$4
    find_probe
    [ -n "$_every" ] || exit 1
    exec 4<>ask
    # Where a command that runs in the foreground is ended by one of these, some shells end too.
    trap : INT QUIT
    mark_of "$_id"
    _swept=0 _over=0 _ending="" _drains=0
    begin_accounts
    while :; do
        take_sample
        await_next
    done
}

# take_sample: run the command once, from $_begun to $_over in centiseconds since the probe's start, and
# take account of it. In the foreground, as a check: its exit code is exact.
take_sample() {
    elapsed "$_over"
    _begun=$_took _stamp=$_now _set_back=""
    (exec $_setsid "$_sh" ../supervisor.sh launch "$_sh" "$_id" 0 "$_call" "$_mask" "$_stamp" 4<&- 9<&-)
    _rc=$?
    exit_code
    elapsed "$_begun"
    _over=$_took
    # It was ended with the probe.
    goes_on || end_probe "$_begun"
    judge_sample
    end_leftovers
    if [ -n "$_verdict" ]; then
        count_sample
        [ ! -e first ] || say_first
    else
        _s_skip=${_s_skip:-$_begun}
    fi
    tell_life "$_over"
}

# elapsed LAST: set $_took to the centiseconds since the probe's start. Without /proc the clock can be set back
# behind LAST. Then the time goes on here as if one period were over, of which nothing is known.
elapsed() {
    since "$_from"
    [ "$_took" -lt "$1" ] || return 0
    _took=$(($1 + _every)) _set_back=yes _s_skip=${_s_skip:-$1}
    _from=$((_now - _took))
}

# goes_on: is the job still to run? Its state may be changing its name in this instant.
goes_on() {
    for _ in 1 2 3; do
        ! still_runs || return 0
        { [ -z "$_state" ] && [ -p ask ]; } || return 1
        nap
    done
    return 1
}

# judge_sample: set $_verdict to good or bad, empty if it is not taken, and $_how to how it ended.
judge_sample() {
    _verdict="" _how=$_rc
    find_sample
    if [ "$_sample_start" != "$_stamp" ]; then
        # Its launcher did not come so far, or says why it went no further.
        _why=${_line#refused }
        case $_why in
        cwd | cwd-closed | cwd-file | home | output) [ -n "$_s_verdict" ] || publish "state.refused.$_why" ;;
        esac
        return 0
    fi
    if [ -n "$_set_back" ] || was_held; then return 0; fi
    _late=$((_over - _begun - _sample_limit))
    if [ "$_late" -ge 0 ] && { [ -r /proc/uptime ] || [ "$_rc" = 137 ]; }; then
        # If it has ended by itself, that may have been in time, before this process was stopped or the
        # whole target was. (Without /proc somebody may have set the clock meanwhile.)
        case ",$_rcs,:$((_late > 100))" in *",$_rc,"*:1) return 0 ;; esac
        _verdict=bad _how=killed
        return 0
    fi
    [ "$_late" -lt 0 ] || return 0
    case ",$_rcs,:$_rc" in
    *",$_rc,"*) _verdict=good ;;
    *:126 | *:127) ;;
    *) _verdict=bad ;;
    esac
}

# was_held: was the sample held up? One that took long may have been. The guard is asked, which has seen if all
# here was stopped meanwhile.
was_held() {
    if [ "$((_over - _begun))" -lt 200 ] || [ ! -r /proc/uptime ] || [ ! -p alive ]; then return 1; fi
    echo look 1<>alive
    while :; do
        _line=""
        { [ ! -f held ] || read -r _line <held; } 2>/dev/null
        case $_line in
        "$_stamp yes") return 0 ;;
        "$_stamp no") return 1 ;;
        esac
        since "$_from"
        [ "$((_took - _over))" -lt 80 ] || return 1
        nap
    done
}

# end_leftovers: kill what the sample has left running: at once what is in its group, and every 10 s
# what has left that. Of what cannot be killed the next sample does not wait for long.
end_leftovers() {
    _left=""
    if [ "$_leader" != none ] && kill -0 "-$_leader" 2>/dev/null; then _left=yes; fi
    if [ "$((_over - _swept))" -ge 1000 ]; then
        _swept=$_over
        find_marked "$_id"
        [ "$_marked" = " " ] || _left=yes
    fi
    [ -z "$_left" ] || kill_all 3
    [ ! -f sample ] || { printf "0 0 %s\n" "$_stamp" 1<>sample; } 2>/dev/null
}

# say_first: say that the first sample was taken.
say_first() {
    since "$_from"
    [ "$_took" -gt 0 ] || _took=1
    ! mv first "ready.$_took" 2>/dev/null || ring "$_id"
}

# await_next: wait until the next sample is due, and listen to requests.
await_next() {
    _idle=""
    while elapsed "$_over"; _left=$((_begun + _every - _took)); [ "$_left" -gt 0 ]; do
        _idle=yes
        # The job's directory may be removed.
        [ "$_left" -le 200 ] || _left=200
        hear "$_left" ask
        hear_whole
        obey
        [ -p ask ] || exit 0
    done
    # Nothing more has been said if the last wait was in vain. A window that is opened may not wait for
    # another sample: see hear_open.
    { [ -n "$_idle" ] && [ -z "$_rang" ]; } || drain
}

# drain: listen to what has been said, without waiting for more: up to a line of its own, which is another
# each time. On a busy machine the time can be over before a line is read that is there.
drain() {
    _drains=$((_drains + 1)) _tries=0
    echo ".$_drains" >&4
    while [ "$_tries" -lt 3 ]; do
        hear 100 ask
        hear_whole
        case $_rang$_heard in
        "yes.$_drains") return ;;
        "" | yestimer) _tries=$((_tries + 1)) ;;
        *) obey ;;
        esac
    done
}

# hear_whole: hear the rest, if what was heard is the empty line that is sent ahead of each. So no time-out
# comes in the middle of one.
hear_whole() { [ -z "$_rang" ] || [ -n "$_heard" ] || hear 1000 ask; }

# obey: do what $_heard says. Anybody who may write here can have written it.
obey() {
    case $_heard in *[!0123456789A-Za-z\ ]*) return 0 ;; esac
    [ "${#_heard}" -le 200 ] || return 0
    # shellcheck disable=SC2086 # words
    set -- $_heard
    case ${1-}.$# in
    open.3) hear_open "$2" "$3" ;;
    close.4) hear_close "$2" "$3" "$4" ;;
    end.1)
        [ -z "$_ending" ] && ! goes_on || return 0
        elapsed "$_over"
        end_probe "$_took" ;;
    esac
}

# end_probe END: the probe has ended, then.
end_probe() {
    _ending=yes
    drain
    tell_life "$1"
    exit 0
}
