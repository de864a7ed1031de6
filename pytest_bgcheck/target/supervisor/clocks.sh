# The monotonic clock, in centiseconds. The supervisor takes the job's duration from it, the guard and
# whoever waits their limits.

# now: set $_now to the monotonic clock in centiseconds, modulo 11.5 days (mksh counts in 32 bits).
now() {
    if read -r _now _ 2>/dev/null </proc/uptime; then
        _now=$((${_now%.*} % 1000000 * 100 + 1${_now#*.} - 100))
    else
        _now=$(($(date +%s) % 1000000 * 100))
    fi
}

# since START: set $_took to the centiseconds from START until now.
since() {
    now
    _took=$((_now - $1))
    [ "$_took" -ge 0 ] || _took=$((_took + 100000000))
}

nap() { sleep 0.05 2>/dev/null || sleep 1; }
