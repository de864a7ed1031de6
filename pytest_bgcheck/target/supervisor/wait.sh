# How a process waits for a line from a FIFO with a limit, under every shell, and what it asks about a
# directory meanwhile. For guards, and for the call that waits for jobs to end.

# timed_read: can this shell bound a read?
timed_read() {
    # shellcheck disable=SC3045 # this asks whether it is there
    [ -n "${_timed-}" ] || { (read -r -t 1 _ </dev/null) 2>/dev/null; _timed=$?; }
    [ "$_timed" -le 1 ]
}

# hear CENTISECONDS FIFO: wait for a line on fd 4, its end-of-file, or the time-out; set $_quiet where
# the shell can tell that it was the latter.
hear() {
    _secs=$(($1 / 100)) _frac=$(($1 % 100))
    case $_frac in ?) _frac=0$_frac ;; esac
    # bash before 4 takes whole seconds only
    case ${BASH_VERSION-} in [123].*) _secs=$((_secs + 1)) ;; *) _secs=$_secs.$_frac ;; esac
    _heard="" _quiet=""
    if timed_read; then
        # shellcheck disable=SC3045 # only where timed_read has just seen that it works
        read -r -t "$_secs" _heard <&4
        case $?${BASH_VERSION+bash} in 1[3-9]?bash) _quiet=yes ;; esac
    else
        # Redirected within: yash forks twice for a group with redirections, and $! is the outer one.
        {
            exec 4<&- </dev/null >/dev/null 2>&1
            # By $!, which is there as soon as the sleep is; "nap=$!" might come too late. KILL, since
            # a child that has just been forked may still have our trap, and lose a TERM in it.
            _before=${!-}
            trap "[ \"\${!-}\" = \"\$_before\" ] || kill -KILL \"\$!\"; exit 0" TERM
            case $_secs in *.00) _secs=${_secs%.*} ;; *) sleep 0.01 || _secs=$((${_secs%.*} + 1)) ;; esac
            sleep "$_secs" &
            wait "$!"
            if [ -p "$2" ]; then echo timer 1<>"$2"; else bereft; fi
        } &
        _timer=$!
        read -r _heard <&4
        # Not waited for: that would be a millisecond before each result.
        kill "$_timer" 2>/dev/null
    fi
    return 0
}

# bereft: from the timer of a shell that cannot bound a read, when its FIFO was removed: nobody could
# wake that read any more.
bereft() {
    if [ -n "${_guards-}" ]; then kill_all; fi
    kill -KILL $$
}

# narrow: does this shell count in 32 bits, as mksh does?
narrow() { [ "$((2147483647 + 1))" -lt 0 ]; }

# guard_shell: set $_gsh to a shell that can bound a read and count bytes, or to our own; start it with $_lent.
guard_shell() {
    _gsh=$_sh
    { timed_read && ! narrow; } || _gsh=$(command -v bash) || _gsh=$_sh
    lent
}

# rounds WAIT: set $_round to how long to wait, of WAIT centiseconds, before looking around.
rounds() {
    _round=100
    timed_read || _round=200
    [ "$1" -ge "$_round" ] || _round=$1
}

# writable JOB: can its state be changed? A file system that has become read-only lets root pass -w in
# some shells. Nothing may be made where somebody is about to remove it all.
writable() {
    [ -w "$1" ] && { [ ! -f "$1/spec" ] || true 2>/dev/null >>"$1/spec" || ! denied "$1/spec"; }
}

# denied FILE: is it proven that this cannot be written? Whatever else fails, a full table of files
# above all, is no proof. In a subshell: dash ends where it gets no pipe.
denied() {
    (
        LC_ALL=C
        _why=$({ true >>"$1"; } 2>&1)
        case $_why in *ead-only* | *ermission*denied* | *"o such file"*) exit 0 ;; esac
        exit 1
    ) 2>/dev/null
}
