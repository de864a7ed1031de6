# How to wait for a line from a FIFO for a limited time, under every shell, and how to find out
# whether a directory can still be written. For guards, and for the requests that wait.

# can_time_reads: has this shell a read with a time-out?
can_time_reads() {
    # shellcheck disable=SC3045 # this asks whether it is there
    [ -n "${_timed-}" ] || { (read -r -t 1 _ </dev/null) 2>/dev/null; _timed=$?; }
    [ "$_timed" -le 1 ]
}

# hear CENTISECONDS FIFO: wait for a line on fd 4, for its end-of-file, or until the time is over.
# Set $_heard to the line, $_rang if it is a whole one, and $_quiet if the time was over and the shell can
# tell. What has come of a line when the time is over is lost.
hear() {
    _secs=$(($1 / 100)) _frac=$(($1 % 100))
    case $_frac in ?) _frac=0$_frac ;; esac
    # bash before 4 takes whole seconds only.
    case ${BASH_VERSION-} in [123].*) _secs=$((_secs + 1)) ;; *) _secs=$_secs.$_frac ;; esac
    _heard="" _quiet="" _rang=""
    if can_time_reads; then
        # shellcheck disable=SC3045 # only where can_time_reads has just seen that it works
        read -r -t "$_secs" _heard <&4
        case $?${BASH_VERSION+bash} in 0*) _rang=yes ;; 1[3-9]?bash) _quiet=yes ;; esac
    else
        # For the one before, if it has gone, since yash keeps 2 kB of each until then.
        [ -z "${_timer-}" ] || exists "$_timer" || wait "$_timer" 2>/dev/null
        # Redirected within the group: for one with redirections yash forks twice, and $! is the
        # outer one.
        {
            exec 4<&- </dev/null >/dev/null 2>&1
            # The trap ends the sleep. It uses $!, which is there as soon as the sleep is; a
            # variable might be set too late. KILL, since a child that was forked just now still has
            # this trap, and would lose a TERM in it.
            _before=${!-}
            trap "[ \"\${!-}\" = \"\$_before\" ] || kill -KILL \"\$!\"; exit 0" TERM
            case $_secs in *.00) _secs=${_secs%.*} ;; *) sleep 0.01 || _secs=$((${_secs%.*} + 1)) ;; esac
            sleep "$_secs" &
            wait "$!"
            if [ -p "$2" ]; then echo timer 1<>"$2"; else end_without_fifo; fi
        } &
        _timer=$!
        ! read -r _heard <&4 || _rang=yes
        # To wait for it would put a millisecond before each result.
        kill "$_timer" 2>/dev/null
    fi
    return 0
}

# end_without_fifo: end the process whose timer this is. Its FIFO was removed, so nothing could wake
# its read any more.
end_without_fifo() {
    if [ -n "${_is_guard-}" ]; then kill_all; fi
    kill -KILL $$
}

# counts_in_32_bits: does this shell count in 32 bits, as mksh does?
counts_in_32_bits() { [ "$((2147483647 + 1))" -lt 0 ]; }

# find_guard_shell: set $_guard_shell to a shell that has a read with a time-out and counts in 64
# bits, or else to this one, and $_shell_option to what it is to be started with.
find_guard_shell() {
    _guard_shell=$_sh
    { can_time_reads && ! counts_in_32_bits; } || _guard_shell=$(command -v bash) || _guard_shell=$_sh
    find_shell_option
}

# next_round WAIT: set $_round to how many centiseconds, at most WAIT, to wait before looking around
# again.
next_round() {
    _round=100
    can_time_reads || _round=200
    [ "$1" -ge "$_round" ] || _round=$1
}

# writable JOB: can the job's state be changed? In some shells -w says yes to root, even on a file
# system that has become read-only; so a file is opened too. One that is there, since the directory
# may be about to be removed, and a new file would prevent that.
writable() {
    [ -w "$1" ] && { [ ! -f "$1/spec" ] || true 2>/dev/null >>"$1/spec" || ! denied "$1/spec"; }
}

# denied FILE: is it proven that this file cannot be written? Other failures, of a full table of
# open files above all, prove nothing. In a subshell, since dash ends where it cannot make a pipe.
denied() {
    (
        LC_ALL=C
        _why=$({ true >>"$1"; } 2>&1)
        case $_why in *ead-only* | *ermission*denied* | *"o such file"*) exit 0 ;; esac
        exit 1
    ) 2>/dev/null
}
