# Bounded output: the guard cuts the middle of what is too long, in place.

# Each file is opened by the check for appending, so that whoever writes goes on at its new end. A report
# has LIMIT bytes, half of them from the head and half from the tail. Where the file system can forget
# the middle of a file, its size stays the true one. Else the check is stopped for a moment, the middle
# taken out, and what was dropped stands in the name of a file, cut.STREAM.ATTEMPT.BYTES; ending in
# .busy while the two do not fit. What is cut is an open file: it may be that of an attempt that is over.

# has_grown: has output been written since the last look?
has_grown() {
    _then=seen
    [ -e seen ] || _then=spec
    # shellcheck disable=SC3013 # every shell has it
    [ out -nt "$_then" ] || [ err -nt "$_then" ]
}

# bound_output: look, and cut what is too long.
bound_output() {
    has_grown || return 0
    mark_of "$_id"
    # Both ways: it may have been made a FIFO.
    { echo 1<>seen; } 2>/dev/null
    for _which in out err; do
        [ -f "$_which" ] || continue
        size_of "$_which"
        eval "_done=\${_done_$_which:-0}"
        [ "$_done" -le "$_size" ] || _done=0
        [ "$((_size - _done))" -gt "$((4 * _limit + 1000000))" ] || continue
        if [ -z "${_unpunched-}" ] && ! narrow && punch 2>/dev/null <>"$_which"; then
            eval "_done_$_which=\$_size"
        else
            _unpunched=yes
            shorten
        fi
    done
}

# size_of FILE: set $_size to its size; 0 if there is none. (Some wc would read it all.)
size_of() {
    # shellcheck disable=SC2012,SC2046 # the size is in front of the name
    set -- $(LC_ALL=C ls -ldnL "$1" 2>/dev/null)
    _size=${5:-0}
    case $_size in *[!0123456789]*) _size=0 ;; ??????????*) ! narrow || _size=2147483647 ;; esac
}

# sum SIZE SIZE: set $_sum, where a narrow shell alone has to count to the most that it can.
sum() {
    _sum=$(($1 + $2))
    [ "$_sum" -ge 0 ] || _sum=2147483647
}

# dropped PREFIX STREAM ATTEMPT: set $_dropped to the bytes that were taken out of the middle of a stream,
# and $_record to the file that says so; PREFIX as for find_state.
dropped() {
    _dropped=0 _record=
    for _file in "$1cut.$2.$3".*; do
        _word=${_file#"$1cut.$2.$3."}
        _word=${_word%.busy}
        case $_word in "" | *[!0123456789]* | 0?* | ????????????????*) ;; *) _dropped=$_word _record=$_file ;; esac
    done
}

# punch: free the middle of the file on fd 0.
punch() {
    [ -f /proc/self/fd/0 ] || return 1
    size_of /proc/self/fd/0
    _off=$(((_limit / 2 + ${#_mark} + 4095) / 4096 * 4096))
    fallocate -p -o "$_off" -l "$(((_size - _limit) / 4096 * 4096 - _off))" /proc/self/fd/0
}

# shorten: stop whoever writes to $_which, and take its middle out.
shorten() {
    { printf "" 1<>rest; } 2>/dev/null
    tree
    for _pid in $_tree; do kill -STOP "$_pid" 2>/dev/null; done
    (take_out) 2>/dev/null <>"$_which"
    for _pid in $_tree; do kill -CONT "$_pid" 2>/dev/null; done
    rm -f rest
}

# take_out: the middle of the file on fd 0, if nobody writes to it. What cannot be written down is not done.
take_out() {
    # By another number for dd, which opens what it reads as 0.
    _here=/proc/self/fd/0 _there=/proc/self/fd/5
    [ -f "$_here" ] || _here=$_which _there=$_which
    _head=$((_limit / 2 + ${#_mark})) _tail=$((_limit - _limit / 2))
    # Who has just been stopped may still be in a write.
    nap
    size_of "$_here"
    _was=$_size
    rm -f rest
    tail -c "$_tail" "$_here" >rest
    size_of rest
    _rest=$_size
    size_of "$_here"
    { [ "$_size" = "$_was" ] && [ "$_rest" = "$_tail" ] && [ "$((_size - _head))" -gt "$_tail" ]; } || exit 0
    dropped "" "$_which" "$_attempt"
    sum "$_dropped" "$((_size - _head - _tail))"
    _cut=cut.$_which.$_attempt.$_sum
    if [ -n "$_record" ]; then mv "$_record" "$_cut.busy"; else printf "" >"$_cut.busy"; fi
    [ -e "$_cut.busy" ] || exit 0
    if dd if=/dev/null of="$_there" bs=1 seek="$_head" 5<&0; then
        cat rest >>"$_here"
        mv "$_cut.busy" "$_cut"
    elif [ -n "$_record" ]; then
        mv "$_cut.busy" "$_record"
    else
        rm -f "$_cut.busy"
    fi
}
