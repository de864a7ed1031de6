# The request that tells what jobs write while they write it: follow. And unfollow, which ends one
# whose reader is gone without that this could be noticed here.
#
# Ten times a second it looks, by builtins alone, whether a file of output is at least as new as a
# file that it has touched before it read sizes. There are two of these, follow.CALL.1 and
# follow.CALL.2: one is touched, then all is compared with the other, so that nothing falls between
# two looks. Once a second all sizes are compared, in case somebody has set the clock back. Removing
# the two files ends the call.
#
# Streams are told by their true offsets. The guard can cut a stream at the very moment in which it
# is read. So what the guard says of its cuts is read before and after: see output.sh.

# follow: tell what these jobs have written from given offsets on, until all have ended or the time
# is over. Frames NONCE.1, NONCE.2 and so on follow each other, of which the first one comes at once
# and the last one is empty. With stream=0 there is one frame, as soon as there is something to tell.
follow() {
    find_guard_shell
    [ "$_guard_shell" = "$_sh" ] ||
        exec "$_guard_shell" $_shell_option ./supervisor.sh follow "$_guard_shell" "$_nonce" "$_run" "$@"
    _call=$_nonce _frames=0 _in_frame="" _followed="" _files="" _count=0
    reply
    each_job follow_job "$@"
    case .$_expire_s.$_budget.$_stream. in *..*) lacks expire_s budget stream ;; esac
    # That the reader is gone shall be an error of a write, and not the end of this process: it has
    # a file to remove. Nobody reads what these errors say.
    trap "" PIPE
    exec 2>/dev/null
    _touched=follow.$_call.1 _other=follow.$_call.2
    { printf "" >"$_touched" && printf "" >"$_other"; }
    [ -e "$_other" ] || _touched="" _other=""
    # Something to wait at, without a name that could be left behind.
    _pipe=
    if can_time_reads && mkfifo "new.$_call" && exec 4<>"new.$_call"; then
        _pipe=yes
        rm -f "new.$_call"
    fi
    # Of many streams no one takes all the room of a frame.
    _share=$((_budget / (2 * (_count > 0 ? _count : 1)) + 1))
    now
    _begun=$_now _looked=0 _rounds=0 _all=yes _behind="" _listed=""
    while [ "$_count" -gt 0 ]; do
        if anything_changed; then
            tell_changed
            [ "$_stream" = 1 ] || [ -z "$_in_frame" ] || break
            [ -z "$_in_frame" ] || end_frame
            _in_frame=
        fi
        if [ -n "$_touched" ] && ! { [ -e "$_touched" ] && [ -e "$_other" ]; }; then break; fi
        _rounds=$((_rounds + 1))
        [ "$_rounds" -lt 10 ] || look_at_all || break
        if [ -n "$_behind$_all" ]; then
            :
        elif [ -n "$_pipe" ]; then
            hear 10 ""
        elif ! sleep 0.1; then
            sleep 1
            _rounds=10
        fi
    done
    begin_frame
    end_frame
    rm -f "follow.$_call".*
    exit 0
}

# look_at_all: do what is done about once a second: see that the reader is there, and compare all
# sizes. Fails if this call is over.
look_at_all() {
    _rounds=0
    since "$_begun"
    { [ "$_took" -lt "$((_expire_s * 100))" ] && [ -f supervisor.sh ]; } || return 1
    # There may be no pause between two rounds.
    [ "$((_took - _looked))" -ge 90 ] || return 0
    _looked=$_took
    echo || return 1
    _sizes=$_listed
    # shellcheck disable=SC2012,SC2086 # compared as it is; words
    _listed=$(LC_ALL=C ls -ldnL $_files)
    [ "$_listed" = "$_sizes" ] || _all=yes
}

# unfollow: end a follow.
unfollow() {
    reply
    each_job : "$@"
    [ -n "$_ends" ] || lacks ends
    rm -f "follow.$_ends".*
    finish
}

# follow_job: take note of a job that is followed. For each there are variables whose names end in
# its key: $_at_out_KEY and $_at_err_KEY are the offsets that were reached, $_base_out_KEY and
# $_base_err_KEY the length of the mark at the beginning of the file, empty as long as it is not
# known; $_attempt_KEY is the attempt, $_seen_KEY the state, $_limit_KEY the output limit.
follow_job() {
    case .$_from_out.$_from_err.$_from_attempt.$_output_limit. in
    *..*) lacks from_out from_err attempt output_limit ;;
    esac
    case $_from_out.$_from_err in
    end.end) ;;
    *[!0123456789.]*) refuse "*" "an offset is no number"; finish ;;
    esac
    key_of "$_id"
    _followed="$_followed $_id" _files="$_files $_id/out $_id/err" _count=$((_count + 1))
    eval "_at_out_$_key=\$_from_out _at_err_$_key=\$_from_err _attempt_$_key=\$_from_attempt
        _base_out_$_key= _base_err_$_key= _seen_$_key= _limit_$_key=\$_output_limit"
}

# anything_changed: is there a job about which there may be something to tell?
anything_changed() {
    [ -z "$_all$_behind" ] || return 0
    for _word in $_followed; do ! has_changed "$_word" || return 0; done
    return 1
}

# has_changed ID: may there be something to tell about this job?
has_changed() {
    [ -z "$_all" ] || return 0
    case " $_behind " in *" $1 "*) return 0 ;; esac
    key_of "$1"
    eval "_seen=\$_seen_$_key"
    # shellcheck disable=SC3013 # every shell has it
    [ ! -e "$1/$_seen" ] || [ ! "$_touched" -nt "$1/out" ] || [ ! "$_touched" -nt "$1/err" ]
}

# tell_changed: tell what is new. $_behind are the jobs of which there is more.
tell_changed() {
    # Before any size is read: what is written from now on makes a file look as new as this one.
    [ ! -e "$_other" ] || echo 1<>"$_other"
    _changed=""
    for _word in $_followed; do ! has_changed "$_word" || _changed="$_changed $_word"; done
    _all="" _behind="" _spent=0
    _word=$_touched _touched=$_other _other=$_word
    for _word in $_changed; do
        if [ "$_spent" -lt "$_budget" ]; then
            tell_growth "$_word"
        else
            _behind="$_behind $_word"
        fi
    done
}

# tell_growth ID: tell what is new of a job; and that it is over, if it has ended and all was told.
tell_growth() {
    key_of "$1"
    eval "_limit=\$_limit_$_key _seen=\$_seen_$_key"
    mark_of "$1"
    # First its state: an end then stands behind all that was written before it.
    find_state "$1/"
    _over=$_state
    case $_state in
    state.run.* | state.end.*) _over="" ;;
    "") [ -p "$1/alive" ] || _over=gone ;;
    esac
    find_attempt "$1"
    _left=""
    for _which in out err; do tell_stream "$1" "$_which"; done
    if [ -n "$_left" ]; then
        _behind="$_behind $1"
        return
    fi
    # Not "", by which a first look is known.
    eval "_seen_$_key=\${_state:-none}"
    if [ -n "$_over" ]; then
        begin_frame
        record over "$1" "$_over"
        forget_job "$1"
    fi
}

# forget_job ID: follow it no longer.
forget_job() {
    _others="" _files="" _count=0
    for _word in $_followed; do
        [ "$_word" != "$1" ] || continue
        _others="$_others $_word" _files="$_files $_word/out $_word/err" _count=$((_count + 1))
    done
    _followed=$_others
}

# find_attempt ID: set $_attempt to the attempt whose files are there. Of another one than before
# all is told.
find_attempt() {
    read_record "$1/again"
    _attempt=$_bytes
    [ "$_attempt" != 0 ] || _attempt=1
    eval "_known=\$_attempt_$_key"
    case $_known in
    "$_attempt") return ;;
    0) ;;
    *) eval "_at_out_$_key=0 _at_err_$_key=0 _base_out_$_key= _base_err_$_key=" ;;
    esac
    eval "_attempt_$_key=\$_attempt"
}

# tell_stream ID STREAM: add the record grown ID STREAM ATTEMPT FROM TO, and as its data the bytes
# from FROM on, if there are any or this is the first look. FROM is larger than what was reached if
# bytes were cut out in between, and 0 if the file has begun anew. A record void ID STREAM TO behind
# it says that its bytes ahead of TO may be wrong. $_left is set if there is more to tell.
tell_stream() {
    eval "_at=\$_at_$2_$_key _base=\$_base_$2_$_key"
    _asked=$_at
    [ -f "$1/$2" ] || { tell_nothing "$1" "$2"; return; }
    if cut_goes_on "$1" "$2"; then tell_later "$1" "$2"; return; fi
    read_dropped "$1/" "$2" "$_attempt"
    _was=$_record
    size_of "$1/$2"
    add "$_size" "$_dropped"
    _end=$_sum
    [ -n "$_base" ] || find_base "$1/$2"
    [ "$_at" != end ] || _at=$((_end - _base))
    if [ "$((_at + _base))" -gt "$_end" ]; then
        # Its program has emptied it.
        find_base "$1/$2"
        _at=0
    fi
    eval "_at_$2_$_key=\$_at _base_$2_$_key=\$_base"
    find_piece "$1" "$2"
    [ "$_to" -gt "$_from" ] || { tell_nothing "$1" "$2"; return; }
    begin_frame
    record grown "$1" "$2" "$_attempt" "$((_from - _base))" "$((_to - _base))"
    flush
    _place=$_from
    [ "$_from" -lt "$_head" ] || _place=$((_from - _dropped))
    print_from "$_place" "$1/$2" | head -c "$((_to - _from))" | $_encoder
    end_data
    _spent=$((_spent + _to - _from))
    confirm "$1" "$2"
}

# tell_nothing ID STREAM: say at the first look where a stream stands of which there is nothing to
# tell. Without stream=1 only if the caller cannot know: else each call would come back at once.
tell_nothing() {
    [ "$_at" != end ] || _at=0
    eval "_at_$2_$_key=\$_at"
    { [ -z "$_seen" ] && { [ "$_stream" = 1 ] || [ "$_asked" = end ]; }; } || return 0
    begin_frame
    record grown "$1" "$2" "$_attempt" "$_at" "$_at"
    end_data
}

# tell_later ID STREAM: look again at a stream that is being cut. Not at once, but in a tenth of a
# second, as that takes longer than a look.
tell_later() {
    _left=yes
    nap
}

# cut_goes_on ID STREAM: is somebody taking something out of it just now?
cut_goes_on() {
    set -- "$1/cut.$2.$_attempt".*.busy
    [ -e "$1" ]
}

# find_base FILE: set $_base to the length of the mark, 0 if the file does not begin with it.
find_base() {
    _base=0
    if [ "$(head -c "${#_mark}" "$1" | tr -d "\000")" = "$_mark" ]; then _base=${#_mark}; fi
}

# find_piece ID STREAM: set $_from and $_to to the offsets, the mark counted, of what is to be told
# next: bytes that are there, not more than $_share. It ends at the latest where the head ends, or a
# hole begins, so that no cut goes through the middle of it.
find_piece() {
    _from=$((_at + _base)) _to=$_end
    _head=$((_limit / 2 + ${#_mark}))
    find_hole_begin
    find_hole "$1" "$2"
    if [ "$_from" -lt "$_head" ]; then
        [ "$_to" -le "$_head" ] || _to=$_head
    else
        [ "$_from" -ge "$((_head + _dropped))" ] || _from=$((_head + _dropped))
        if [ "$_from" -lt "$_off" ]; then
            [ "$_to" -le "$_off" ] || _to=$_off
        elif [ "$_from" -lt "$_hole" ]; then
            _from=$_hole
        fi
    fi
    [ "$((_to - _from))" -le "$_share" ] || _to=$((_from + _share))
    [ "$_to" = "$_end" ] || [ "$_from" -ge "$_end" ] || _left=yes
}

# find_hole ID STREAM: set $_hole to where the hole in it ends, 0 if it has none.
find_hole() {
    read_record "$1/hole.$2.$_attempt"
    _hole=$_bytes
}

# confirm ID STREAM: look whether the piece that was just told was cut meanwhile, and go on behind
# it.
confirm() {
    read_record "$1/again"
    [ "$_bytes" != 0 ] || _bytes=1
    if [ "$_bytes" = "$_attempt" ]; then read_dropped "$1/" "$2" "$_attempt"; else _record=none; fi
    if [ "$_record" != "$_was" ] || cut_goes_on "$1" "$2"; then
        # Other bytes may have been where these were thought to be.
        record void "$1" "$2" "$((_to - _base))"
        _left=yes
        return
    fi
    find_hole "$1" "$2"
    if [ "$_from" -ge "$_off" ] && [ "$_hole" -gt "$_from" ]; then
        [ "$_hole" -le "$_to" ] || _hole=$_to
        record void "$1" "$2" "$((_hole - _base))"
    fi
    eval "_at_$2_$_key=\$((_to - _base))"
}
