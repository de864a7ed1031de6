# The replies to requests, which `replies.py` reads. A reply is a frame of lines between "NONCE
# begin ENCODING" and "NONCE end RECORDS". Each record is a line, and some have lines of data behind
# them, up to a ".". What a login shell prints stands outside the frame, and what a check has
# printed is encoded, or has a "=" ahead of each line.

# reply: begin a frame.
reply() {
    _enc=hex _encoder="od -An -v -tx1"
    if command -v base64 >/dev/null 2>&1; then _enc=base64 _encoder=base64; fi
    _records=0 _pending="$_newline$_nonce begin $_enc$_newline"
}

# record WORD...: add a record.
record() {
    _records=$((_records + 1)) _pending="$_pending$*$_newline"
}

# flush: write what is pending. Few writes make few packets on the line, and wake the other end
# once.
flush() {
    printf "%s" "$_pending"
    _pending=""
}

end_frame() {
    _pending="$_pending$_nonce end $_records$_newline"
    flush
}

finish() {
    end_frame
    exit 0
}

# end_data: end a record's data.
end_data() { _pending="$_pending.$_newline"; }

# refuse ID REASON: say that a job was not started, or with "*" as ID that the request was refused.
refuse() {
    record "refused $1 $(printf "%s" "$2" | LC_ALL=C tr -c " -~" " ")"
}

# record_file NAME FILE LIMIT: add the record NAME SIZE HEAD TAIL, and as its data the file: whole,
# or its first HEAD and last TAIL bytes. The mark ahead of it counts. $_dropped bytes are missing in
# its middle. It is counted first, since it may grow.
record_file() {
    _size=0 _text=""
    if [ ! -s "$2" ] || [ ! -f "$2" ]; then
        record "$1" 0 0 0
    elif [ "$_dropped" = 0 ] && is_plain "$2" && [ "${#_text}" -le "$(($3 + ${#_mark}))" ]; then
        _size=${#_text}
        record "$1" "$_size" "$_size" 0
        while case $_text in *"$_newline"*) ;; *) false ;; esac; do
            _pending="$_pending=${_text%%"$_newline"*}$_newline" _text=${_text#*"$_newline"}
        done
        _pending="$_pending=$_text$_newline"
    else
        size_of "$2"
        if [ "$_dropped" = 0 ] && [ "$_size" -le "$(($3 + ${#_mark}))" ]; then
            record "$1" "$_size" "$_size" 0
            flush
            head -c "$_size" "$2" | $_encoder
        else
            _head=$(($3 / 2 + ${#_mark})) _tail=$(($3 - $3 / 2))
            # After a cut that was broken off there may be less.
            [ "$_size" -ge "$_head" ] || _head=$_size
            [ "$((_size - _head))" -ge "$_tail" ] || _tail=$((_size - _head))
            add "$_size" "$_dropped"
            record "$1" "$_sum" "$_head" "$_tail"
            flush
            {
                head -c "$_head" "$2"
                if [ "$_size" = 2147483647 ]; then
                    # It has more bytes than this shell can count.
                    tail -c "$_tail" "$2"
                else
                    print_from "$((_size - _tail))" "$2" | head -c "$_tail"
                fi
            } | $_encoder
        fi
    fi
    end_data
    _spent=$((_spent + (_size < $3 ? _size : $3)))
}

# print_from OFFSET FILE: print the file from there on. By dd, since it seeks, which not every tail
# does: what lies ahead can be a hole of many gigabytes.
print_from() {
    if command -v dd >/dev/null 2>&1; then
        dd if="$2" bs=1024 skip="$(($1 / 1024))" 2>/dev/null | tail -c "+$(($1 % 1024 + 1))"
    else
        tail -c "+$(($1 + 1))" "$2"
    fi
}

# is_plain FILE: is it short and printable? Then set $_text to it. By builtins alone, since to start
# programs would be most of what a waiter does. Shells other than bash can tell it of a file without
# output only.
is_plain() {
    if [ -z "${BASH_VERSION-}" ]; then
        size_of "$1"
        [ "$_size" = "${#_mark}" ] && ! IFS= read -r _text <"$1" && [ "$_text" = "$_mark" ]
        return
    fi
    LC_ALL=C
    # A read that does not come to the end of the file: it is longer, or has a NUL in it.
    # shellcheck disable=SC3045 # bash has it
    if IFS= read -r -d "" -n 2000 _text <"$1"; then return 1; fi
    case $_text in "" | *[!\ -~"$_newline"]*) return 1 ;; esac
}

# await_dropped ID STREAM: wait until nobody is cutting the stream, and set $_dropped for the last
# attempt.
await_dropped() {
    _dropped=0
    for _file in "$1/cut.$2".*; do
        [ -e "$_file" ] || return 0
    done
    case $_state in
    state.exit.*.*.*) _attempt=${_state#state.*.*.*.} ;;
    state.[tclu]*.*.*) _attempt=${_state#state.*.*.} ;;
    *) for _file in "$1"/pid.*; do _attempt=${_file##*/pid.} _attempt=${_attempt#*.}; done ;;
    esac
    _rounds=0
    while set -- "$1" "$2" "$1/cut.$2".*.busy; [ -e "$3" ] && [ "$_rounds" -lt 20 ]; do
        _rounds=$((_rounds + 1))
        nap
    done
    read_dropped "$1/" "$2" "${_attempt%%.*}"
}

# report ID LIMIT: add the record of a job's state, and those of its output.
report() {
    find_state "$1/"
    _took=-
    case $_state in
    state.run.* | state.end.*)
        since "$_start"
        # It has ended, but its state cannot be changed: see has_ended.
        case " ${_ended-} " in *" $1 "*) _state=state.lost.$_took.1.0.W ;; esac ;;
    "") _state=gone ;;
    esac
    _more="" _look_rc=-
    if [ -e "$1/look" ] && [ "$_state" != gone ]; then
        find_ready "$1/"
        _more=" $_ready_cs $_look_rc"
    elif [ -p "$1/ask" ]; then
        find_ready "$1/"
        _more=" $_ready_cs life"
    fi
    record job "$1" "$_state" "$_took$_more"
    [ "$_state" != gone ] || return 0
    mark_of "$1"
    for _which in out err; do
        await_dropped "$1" "$_which"
        record_file "$_which" "$1/$_which" "$2"
    done
    case $_look_rc in
    - | none) ;;
    *)
        _mark="" _dropped=0
        record_file look "$1/look.out.$_look_rc" 4096 ;;
    esac
    case $_more in *" life") record_life "$1" ;; esac
    [ "${#_pending}" -lt 4000 ] || flush
}

# record_life ID: add the record of what a probe has seen, from its files: see windows.sh. Its prober
# may be writing them in this instant; and on a full disk a line of the second may be torn.
record_life() {
    record life
    flush
    for _ in 1 2 3 4 5; do
        _text=""
        [ ! -f "$1/counts" ] || _text=$(head -c 4000 "$1/counts" | LC_ALL=C sed "/^[.] /q")
        # The number of samples, and the length, stand in its first line and in its last.
        _word=${_text%%"$_newline"*}${_text##*"$_newline"}
        case $_word in *[!0123456789.\ ]*) _word= ;; esac
        # shellcheck disable=SC2086 # words
        set -- "$1" $_word
        # The nine numbers of the first line, of which the last has the dot of the last line behind it.
        if [ "$#" = 12 ] && [ "$2.$5" = "${11}.${12}" ]; then break; fi
        _text=""
        nap
    done
    if [ -n "$_text" ]; then
        {
            printf "%s\n" "${_text%"$_newline".*}"
            # The last line of that file does not end.
            [ ! -f "$1/outages" ] || { head -c 60000 "$1/outages" && printf "\n"; } | LC_ALL=C sed -n \
                -e "s/^\(outage [0-9]* [0-9]* [0-9a-z]* .*\) [.]$/\1/p" -e "s/^\(gap [0-9]* [0-9]*\) [.]$/\1/p"
        } | $_encoder
    fi
    end_data
}

# find_ready PREFIX: set $_ready_cs to when the service was ready, "-" if it is not, and then
# $_look_rc to how its ready command last ended: an exit code, "killed", "none" if it has not, "-" if
# there is no ready command. PREFIX is that of find_state.
find_ready() {
    _ready_cs=- _look_rc=-
    for _file in "$1ready".*; do
        ! number "${_file##*ready.}" || _ready_cs=${_file##*ready.}
    done
    { [ "$_ready_cs" = - ] && [ -s "$1look" ]; } || return 0
    _look_rc=none
    for _file in "$1look.out".*; do
        _word=${_file##*look.out.}
        if [ "$_word" = killed ] || number "$_word"; then _look_rc=$_word; fi
    done
}
