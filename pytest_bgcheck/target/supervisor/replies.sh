# The replies to requests: frames of records, of which some have data behind them. `replies.py` reads
# them.

# A reply is a frame of lines between "NONCE begin ENCODING" and "NONCE end RECORDS". Whatever a
# login shell prints stands outside it, and whatever a check printed is encoded, or has a "=" in front
# of each line.

reply() {
    _enc=hex _encoder="od -An -v -tx1"
    if command -v base64 >/dev/null 2>&1; then _enc=base64 _encoder=base64; fi
    _records=0 _pending="$_newline$_nonce begin $_enc$_newline"
}

record() {
    _records=$((_records + 1)) _pending="$_pending$*$_newline"
}

# flush: write what is pending. Few writes are few packets on the line, and wake the other end once.
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

# end_data: behind what an encoder has written, after a flush.
end_data() { _pending="$_pending.$_newline"; }

# refuse ID REASON: ID "*" is the whole request.
refuse() {
    record "refused $1 $(printf "%s" "$2" | LC_ALL=C tr -c " -~" " ")"
}

# blob NAME FILE LIMIT: a file whole, or its head and its tail; counted first, since it may grow. $_dropped
# bytes are missing between them. All with the mark ahead.
blob() {
    _size=0 _text=""
    if [ ! -s "$2" ] || [ ! -f "$2" ]; then
        record "$1" 0 0 0
    elif [ "$_dropped" = 0 ] && plain "$2" && [ "${#_text}" -le "$(($3 + ${#_mark}))" ]; then
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
            # Of a cut that was broken off there may be less.
            [ "$_size" -ge "$_head" ] || _head=$_size
            [ "$((_size - _head))" -ge "$_tail" ] || _tail=$((_size - _head))
            sum "$_size" "$_dropped"
            record "$1" "$_sum" "$_head" "$_tail"
            flush
            {
                head -c "$_head" "$2"
                # It is more than the shell can count.
                if [ "$_size" = 2147483647 ]; then tail -c "$_tail" "$2"; else from "$((_size - _tail))" "$2" | head -c "$_tail"; fi
            } | $_encoder
        fi
    fi
    end_data
    _spent=$((_spent + (_size < $3 ? _size : $3)))
}

# from OFFSET FILE: print a file from there on. dd seeks, which not every tail does, and what lies before
# may be a hole of many gigabytes.
from() {
    if command -v dd >/dev/null 2>&1; then
        dd if="$2" bs=1024 skip="$(($1 / 1024))" 2>/dev/null | tail -c "+$(($1 % 1024 + 1))"
    else
        tail -c "+$(($1 + 1))" "$2"
    fi
}

# plain FILE: is it short and printable? Then set $_text to it. By builtins alone, where the shell can:
# a program or three would be most of the time that a waiter takes. Without bash only what is empty.
plain() {
    if [ -z "${BASH_VERSION-}" ]; then
        size_of "$1"
        [ "$_size" = "${#_mark}" ] && ! IFS= read -r _text <"$1" && [ "$_text" = "$_mark" ]
        return
    fi
    LC_ALL=C
    # shellcheck disable=SC3045 # bash. Not the end of the file: it is longer, or there is a NUL in it.
    if IFS= read -r -d "" -n 2000 _text <"$1"; then return 1; fi
    case $_text in "" | *[!\ -~"$_newline"]*) return 1 ;; esac
}

# missing ID STREAM: set $_dropped for the last attempt, when nobody is cutting.
missing() {
    _dropped=0
    for _file in "$1/cut.$2".*; do
        [ -e "$_file" ] || return 0
    done
    case $_state in
    state.exit.*.*.*) _attempt=${_state#state.*.*.*.} ;;
    state.[tcl]*.*.*) _attempt=${_state#state.*.*.} ;;
    *) for _file in "$1"/pid.*; do _attempt=${_file##*/pid.} _attempt=${_attempt#*.}; done ;;
    esac
    _rounds=0
    while set -- "$1" "$2" "$1/cut.$2".*.busy; [ -e "$3" ] && [ "$_rounds" -lt 20 ]; do
        _rounds=$((_rounds + 1))
        nap
    done
    dropped "$1/" "$2" "${_attempt%%.*}"
}

# report ID LIMIT: a job's state and its output.
report() {
    find_state "$1/"
    _took=-
    case $_state in
    state.run.* | state.end.*)
        since "$_start"
        # Told as ended, though nobody could write that down.
        case " ${_ended-} " in *" $1 "*) _state=state.lost.$_took.1.0.W ;; esac ;;
    "") _state=gone ;;
    esac
    record job "$1" "$_state" "$_took"
    [ "$_state" != gone ] || return 0
    mark_of "$1"
    for _which in out err; do
        missing "$1" "$_which"
        blob "$_which" "$1/$_which" "$2"
    done
    [ "${#_pending}" -lt 4000 ] || flush
}
