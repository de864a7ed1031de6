# What a prober has seen, in each window, and in the probe's whole life, which is one more. All times are
# centiseconds since the probe's start.
#
#   window.WID   of a closed window. What follows the first line are the first 100 outages and gaps, and the
#                longest of each if it is not among them:
#                    SAMPLES GOOD BAD LENGTH DOWN UNPROVEN APART OUTAGES GAPS
#                    outage START LENGTH HOW TEXT
#                    gap START LENGTH
#                    longest outage START LENGTH HOW TEXT
#                    longest gap START LENGTH
#                    end
#   counts       the same of the whole life, as of the end of the last sample, but of the outages and gaps
#                only one that is still open, and the longest; it ends with a line ". SAMPLES LENGTH", and
#                what lies behind that is old
#   outages      the others of the whole life, up to 32 kB: such lines, each with a " ." at its end, since a
#                full disk can tear one
#
# An outage goes from the start of its first bad sample to that of the next good one; a gap from the end of
# one sample to the start of the next, if that is late, or one in between was not taken. A gap ends an
# outage at the end of its last bad sample.
#
# The last sample is $_s_start to $_s_end, $_s_verdict is empty if there is none; $_s_gap is where the gap
# ahead of it began, if there is one, $_s_skip when the first one behind it began that was not taken.
# If it is bad, $_s_outage is when its outage began, $_s_cause how that outage's first sample ended. $_p_*
# is the sample before. A window counts the last sample only when the next one has ended: a request that
# says that the window was closed before it may still be on its way.

# begin_accounts: nothing is seen yet.
begin_accounts() {
    _s_start=$((-_every)) _s_end=0 _s_verdict="" _s_skip="" _s_gap="" _s_outage="" _s_cause=""
    _p_start=$_s_start _p_end=0 _p_skip=""
    _windows="" _open=0 _stored="" _stored_count=0 _stored_bytes=0 _listed_bytes=0
    new_account _ 0
}

# new_account WID BEGIN: begin to count from then on. $_account_WID are the numbers that load knows,
# $_cause_WID how the first sample of its open outage ended, $_lines_WID what is listed, $_longest_outage_WID
# and $_longest_gap_WID the longest that is not. WID is _ for the whole life.
new_account() {
    eval "_account_$1=\"$2 0 0 0 0 0 0 0 - - -1 -1\" _cause_$1= _lines_$1= _longest_outage_$1= _longest_gap_$1="
}

# load WID: make this account the current one.
load() {
    _wid=$1
    eval "set -- \$_account_$1"
    _begin=$1 _good=$2 _bad=$3 _down=$4 _unproven=$5 _apart=$6 _outages=$7 _gaps=$8 _before=$9
    shift 9
    _down_from=$1 _longest_outage=$2 _longest_gap=$3
}

# save: keep the numbers of the current account.
save() {
    eval "_account_$_wid=\"$_begin $_good $_bad $_down $_unproven $_apart $_outages $_gaps $_before \
$_down_from $_longest_outage $_longest_gap\""
}

# count_sample: count the sample that has just ended.
count_sample() {
    for _word in $_windows; do
        load "$_word"
        count_last
        save
    done
    _gap=""
    ! is_gap "$_s_start" "$_s_end" "$_s_skip" "$_begun" || _gap=$_s_end
    if [ "$_verdict" = bad ] && { [ "$_s_verdict" != bad ] || [ -n "$_gap" ]; }; then
        find_last_line
        _s_outage=$_begun _s_cause="$_how $_text"
    fi
    _p_start=$_s_start _p_end=$_s_end _p_skip=$_s_skip
    _s_start=$_begun _s_end=$_over _s_verdict=$_verdict _s_gap=$_gap _s_skip=""
    load _
    count_last
    save
}

# is_gap START END SKIP NEXT: is there a gap between a sample and what comes next? SKIP is when the first
# one began in between that was not taken.
is_gap() {
    [ "$2" -lt "$4" ] || return 1
    if [ -n "$3" ] && [ "$3" -le "$4" ]; then return 0; fi
    _due=$(($1 + _every)) _late=$_every
    [ "$_due" -ge "$2" ] || _due=$2
    [ "$_late" -ge 100 ] || _late=100
    [ "$4" -gt "$((_due + _late))" ]
}

# count_last: count the last sample in the current account, if it ended after that began.
count_last() {
    if [ -z "$_s_verdict" ] || [ "$_s_end" -lt "$_begin" ]; then return 0; fi
    if [ -n "$_s_gap" ]; then
        end_outage "$_s_gap"
        add_gap "$_s_gap" "$_s_start"
        _before=-
    fi
    if [ "$_s_verdict" = good ]; then
        _good=$((_good + 1))
        end_outage "$_s_start"
    else
        _bad=$((_bad + 1))
        if [ "$_down_from" = - ]; then
            # It may have been down before.
            _down_from=$_s_outage
            [ "$_down_from" -ge "$_begin" ] || _down_from=$_begin
            eval "_cause_$_wid=\$_s_cause"
        fi
    fi
    find_apart "$_s_start"
    _before=$_s_start
}

# find_apart NEXT: is this the longest time since the start of a sample?
find_apart() {
    if [ "$_before" != - ] && [ "$(($1 - _before))" -gt "$_apart" ]; then _apart=$(($1 - _before)); fi
}

# end_outage END: end the outage of the current account, if there is one.
end_outage() {
    [ "$_down_from" != - ] || return 0
    _outages=$((_outages + 1)) _down=$((_down + $1 - _down_from))
    eval "_line=\"outage $((_down_from - _begin)) $(($1 - _down_from)) \$_cause_$_wid\""
    keep outage "$_outages" "$(($1 - _down_from))"
    _down_from=-
}

# add_gap FROM TO: add a gap to the current account, as far as it lies within.
add_gap() {
    if [ "$1" -lt "$_begin" ]; then set -- "$_begin" "$2"; fi
    [ "$1" -lt "$2" ] || return 0
    _gaps=$((_gaps + 1)) _unproven=$((_unproven + $2 - $1))
    _line="gap $(($1 - _begin)) $(($2 - $1))"
    keep gap "$_gaps" "$(($2 - $1))"
}

# keep KIND NUMBER LENGTH: list $_line, which is an outage or a gap, or at least keep it if it is the longest.
keep() {
    _unlisted=
    if [ "$_wid" = _ ] && [ -z "$_as_of_now" ]; then
        list_in_file
    elif [ "$2" -le 100 ] || [ "$_wid" = _ ]; then
        eval "_lines_$_wid=\$_lines_$_wid\$_line\$_newline"
    else
        _unlisted=$_line
    fi
    # What is listed of the whole life may be lost.
    [ "$_wid" != _ ] || _unlisted=$_line
    eval "_word=\$_longest_$1"
    if [ "$3" -gt "$_word" ]; then eval "_longest_$1=\$3 _longest_${1}_$_wid=\$_unlisted"; fi
}
_as_of_now=

# list_in_file: append $_line to what is listed of the whole life. A line may be torn, so that it has to begin
# a new one.
list_in_file() {
    _bytes=${#_line}
    # Some shells count characters, of up to four bytes.
    case $_line in *[!\ -~]*) _bytes=240 ;; esac
    [ "$((_listed_bytes + _bytes))" -lt 32000 ] || return 0
    _listed_bytes=$((_listed_bytes + _bytes + 3))
    if [ ! -e outages ] || [ -f outages ]; then { printf "\n%s ." "$_line" >>outages; } 2>/dev/null; fi
}

# finish END: bring the current account to its end.
finish() {
    if [ "$_s_start" -le "$1" ]; then
        [ "$_wid" = _ ] || count_last
        set -- "$1" "$_s_start" "$_s_end" "$_s_skip"
    else
        set -- "$1" "$_p_start" "$_p_end" "$_p_skip"
    fi
    if is_gap "$2" "$3" "$4" "$1"; then
        end_outage "$3"
        add_gap "$3" "$1"
    else
        end_outage "$1"
        find_apart "$1"
    fi
    _length=$(($1 - _begin))
    _text="$((_good + _bad)) $_good $_bad $_length $_down $_unproven $_apart $_outages $_gaps"
    eval "_text=\$_text\$_newline\$_lines_$_wid"
    for _word in outage gap; do
        eval "_line=\$_longest_${_word}_$_wid"
        [ -z "$_line" ] || _text="${_text}longest $_line$_newline"
    done
}

# tell_life END: write the account of the whole life, as of then. In place: on a full disk too.
tell_life() {
    load _
    _as_of_now=yes _kept_outage=$_longest_outage__ _kept_gap=$_longest_gap__
    finish "$1"
    [ ! -f counts ] || { printf "%s. %s %s\n" "$_text" "$((_good + _bad))" "$_length" 1<>counts; } 2>/dev/null
    _as_of_now="" _longest_outage__=$_kept_outage _longest_gap__=$_kept_gap _lines__=""
}

# hear_open WID STAMP: open a window. What has ended before the sample ahead of the last one is not known
# any more: then it begins where that ended, for until then nobody had said that the window is open.
hear_open() {
    case " $_windows " in *" $1 "*) return 0 ;; esac
    if [ "${#1}" -gt 40 ] || [ -e "window.$1" ] || ! relative "$2" || [ "$_open" -ge 200 ]; then return 0; fi
    [ "$_at" -ge "$_p_end" ] || _at=$_p_end
    new_account "$1" "$_at"
    _windows="$_windows $1" _open=$((_open + 1))
    [ "$_open" -lt 200 ] || { printf "" >full; } 2>/dev/null
}

# hear_close WID STAMP CALL: close a window, and tell the request CALL. A sample that began later does not
# count. One that says so too late closes it later.
hear_close() {
    { [ "${#1}" -le 40 ] && relative "$2"; } || return 0
    case " $_windows " in
    *" $1 "*)
        load "$1"
        [ "$_at" -ge "$_begin" ] || _at=$_begin
        if [ "$_s_start" -gt "$_at" ] && [ "$_p_start" -gt "$_at" ]; then _at=$_p_start; fi
        finish "$_at"
        store_window "$1" "${_text}end"
        forget_window "$1" ;;
    *) [ -e "window.$1" ] || store_window "$1" refused ;;
    esac
    [ ! -p "../reply.$3" ] || echo "$1" 1<>"../reply.$3"
}

# relative STAMP: set $_at to when that was. It is not in the future.
relative() {
    number "$1" || return 1
    elapsed "$_over"
    _at=$(($1 - _from))
    [ "$_at" -ge 0 ] || _at=$((_at + 100000000))
    [ "$_at" -le "$_took" ] || _at=$_took
}

# forget_window WID: it is open no longer.
forget_window() {
    _others=""
    for _word in $_windows; do [ "$_word" = "$1" ] || _others="$_others $_word"; done
    _windows=$_others _open=$((_open - 1))
    unset "_account_$1" "_cause_$1" "_lines_$1" "_longest_outage_$1" "_longest_gap_$1"
    [ ! -e full ] || rm -f full
}

# store_window WID TEXT: write what was seen in a window. Kept are those of the last two minutes, since
# whoever has closed one may ask again; of older ones the last 50, and no more than 24 kB.
store_window() {
    { printf "%s\n" "$2" >"window.$1.new" && mv "window.$1.new" "window.$1"; } 2>/dev/null
    since "$_from"
    _stored="$_stored $1:${#2}:$_took" _stored_count=$((_stored_count + 1)) _stored_bytes=$((_stored_bytes + ${#2}))
    while [ "$_stored_count" -gt 50 ] || [ "$_stored_bytes" -gt 24000 ]; do
        _stored=${_stored# }
        _word=${_stored%% *}
        [ "$((_took - ${_word##*:}))" -gt 12000 ] || break
        _stored=${_stored#"$_word"} _stored_count=$((_stored_count - 1))
        rm -f "window.${_word%%:*}"
        _word=${_word#*:}
        _stored_bytes=$((_stored_bytes - ${_word%:*}))
    done
}

# find_last_line: set $_text to the last line that the sample has written, at most 200 bytes of it.
find_last_line() {
    _text=""
    for _which in out err; do
        [ -z "$_text" ] && [ -f "$_which" ] || continue
        _text=$(tail -c 4000 "$_which" | LC_ALL=C tr -d "\000\r" |
            LC_ALL=C sed -n "s/^$_mark//;s/^\(.\{200\}\).*/\1/;/[^[:space:]]/h;\${x;p;}")
    done
}
