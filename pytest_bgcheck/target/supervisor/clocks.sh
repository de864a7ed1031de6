# The monotonic clock, in centiseconds, and a short sleep. By it the supervisor tells how long a
# check took, and guards and requests know when their time is over.

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

# nap: sleep for a moment, where the shell can; where sleep takes whole seconds only, for one.
nap() { sleep 0.05 2>/dev/null || sleep 1; }
