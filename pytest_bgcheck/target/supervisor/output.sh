# How the guard keeps a check from filling the disk: it cuts the middle out of what is too long, in
# place. A report has LIMIT bytes of a stream, half of them from its head and half from its tail.
#
# The check has its output files open for appending, so that it goes on at the new end of a file
# that was cut. Where the file system can drop the middle of a file, its size remains the true one.
# Elsewhere the check is stopped for a moment while the middle is taken out. The number of bytes
# that were dropped then stands in the name of a file, cut.STREAM.ATTEMPT.BYTES, which ends in .busy
# until the stream fits what it says. What is cut is an open file, since the file of that name may
# already be the next attempt's.
#
# Who reads a stream while it is written has to know what was taken out: hole.STREAM.ATTEMPT.END
# says up to which byte, the mark counted, there may be a hole behind the head. It is there before
# the hole is. So bytes that were read are true if no such file says otherwise afterwards.

# has_grown: has output been written since the last look?
has_grown() {
    # What a sample of a probe writes is emptied by the next one.
    [ -z "${_sample_limit-}" ] || [ -n "$_same_sample" ] || return 1
    _then=seen
    [ -e seen ] || _then=spec
    # shellcheck disable=SC3013 # every shell has it
    [ out -nt "$_then" ] || [ err -nt "$_then" ]
}

# bound_output: cut what is too long.
bound_output() {
    has_grown || return 0
    mark_of "$_id"
    # Opened for reading and writing, which does not block if the check has made it a FIFO.
    { echo 1<>seen; } 2>/dev/null
    for _which in out err; do
        [ -f "$_which" ] || continue
        size_of "$_which"
        eval "_done=\${_done_$_which:-0}"
        [ "$_done" -le "$_size" ] || _done=0
        [ "$((_size - _done))" -gt "$((4 * _limit + 1000000))" ] || continue
        _upto=$_size
        search_cut "$_done"
        if [ -z "${_unpunched-}" ] && ! counts_in_32_bits && punch 2>/dev/null <>"$_which"; then
            eval "_done_$_which=\$_size"
        else
            _unpunched=yes
            shorten
        fi
    done
}

# size_of FILE: set $_size to its size, 0 if there is none. By ls, since some wc would read it all.
size_of() {
    # shellcheck disable=SC2012,SC2046 # the size is in front of the name
    set -- $(LC_ALL=C ls -ldnL "$1" 2>/dev/null)
    _size=${5:-0}
    case $_size in *[!0123456789]*) _size=0 ;; ??????????*) ! counts_in_32_bits || _size=2147483647 ;; esac
}

# add SIZE SIZE: set $_sum. A shell that counts in 32 bits stops at the largest number that it has.
add() {
    _sum=$(($1 + $2))
    [ "$_sum" -ge 0 ] || _sum=2147483647
}

# read_dropped PREFIX STREAM ATTEMPT: set $_dropped to the number of bytes that were taken out of a
# stream, and $_record to the file whose name says so. PREFIX is that of find_state.
read_dropped() {
    read_record "$1cut.$2.$3"
    _dropped=$_bytes
}

# read_record NAME: set $_bytes to the number of bytes that the name of a file NAME.BYTES says, 0 if
# there is none, and $_record to the file.
read_record() {
    _bytes=0 _record=
    for _file in "$1".*; do
        _word=${_file#"$1."}
        _word=${_word%.busy}
        case $_word in
        "" | *[!0123456789]* | 0?* | ????????????????*) ;;
        *) _bytes=$_word _record=$_file ;;
        esac
    done
}

# punch: have the file system drop the middle of the file on fd 0.
punch() {
    [ -f /proc/self/fd/0 ] && command -v fallocate >/dev/null || return 1
    size_of /proc/self/fd/0
    [ "$_size" -le "$_upto" ] || _size=$_upto
    find_hole_begin
    _hole=$(((_size - _limit) / 4096 * 4096))
    find_leader
    read_dropped "" "$_which" "$_attempt"
    _hole_name=hole.$_which.$_attempt.$((_hole + _dropped))
    read_record "hole.$_which.$_attempt"
    if [ -n "$_record" ]; then mv "$_record" "$_hole_name"; else printf "" >"$_hole_name"; fi
    # What cannot be told is not done. Where even an empty file has no room, the next look tries again.
    [ -e "$_hole_name" ] || return 0
    fallocate -p -o "$_off" -l "$((_hole - _off))" /proc/self/fd/0 && return
    if [ -n "$_record" ]; then mv "$_hole_name" "$_record"; else rm -f "$_hole_name"; fi
    return 1
}

# find_hole_begin: set $_off to where a hole begins: behind the head, at the next block.
find_hole_begin() { _off=$(((_limit / 2 + ${#_mark} + 4095) / 4096 * 4096)); }

# search_cut FROM: search for a service's pattern what is about to be cut out of $_which behind FROM,
# since its watcher may not have come to it: see ready.sh.
search_cut() {
    [ ! -e pattern ] ||
        (exec "$_sh" ../supervisor.sh search "$_sh" "$_id" "search:$_id" "$_which" "$1" "$_limit" </dev/null 4<&-)
}

# shorten: stop the check, and take the middle out of $_which.
shorten() {
    { printf "" 1<>rest; } 2>/dev/null
    find_tree
    for _pid in $_tree; do kill -STOP "$_pid" 2>/dev/null; done
    (take_out) 2>/dev/null <>"$_which"
    for _pid in $_tree; do kill -CONT "$_pid" 2>/dev/null; done
    rm -f rest
}

# take_out: take the middle out of the file on fd 0, unless somebody writes to it, or there is no
# way to say how much was dropped.
take_out() {
    # dd gets it as fd 5, since it opens what it reads as fd 0.
    _here=/proc/self/fd/0 _there=/proc/self/fd/5
    [ -f "$_here" ] || _here=$_which _there=$_which
    _head=$((_limit / 2 + ${#_mark})) _tail=$((_limit - _limit / 2))
    # A process that was stopped just now may still be in a write.
    nap
    size_of "$_here"
    _was=$_size
    rm -f rest
    tail -c "$_tail" "$_here" >rest
    size_of rest
    _rest=$_size
    size_of "$_here"
    { [ "$_size" = "$_was" ] && [ "$_rest" = "$_tail" ] && [ "$((_size - _head))" -gt "$_tail" ]; } || exit 0
    search_cut 0
    read_dropped "" "$_which" "$_attempt"
    add "$_dropped" "$((_size - _head - _tail))"
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
