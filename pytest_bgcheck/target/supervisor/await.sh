# The request that waits for jobs to end and tells of each that has. It also looks after the guards of
# those that have not: one that is gone is started again.

# await NONCE RUN SECONDS BUDGET STREAM ID=TIMEOUT.GRACE=LIMIT... | @LIST: report the jobs that have ended, as soon as
# there is one, or nothing when SECONDS are over. A frame has outputs of BUDGET bytes and then no
# further job. With STREAM 1 frames NONCE.1, NONCE.2, ... follow each other until all have ended or
# the time is over, and an empty one is the last.
await() {
    guard_shell
    # A shell that can bound a read looks around without a fork.
    [ "$_gsh" = "$_sh" ] || exec "$_gsh" $_lent ./supervisor.sh await "$_gsh" "$@"
    _call=$1 _run=$2 _expire=$3 _budget=$4 _stream=$5
    shift 5
    # shellcheck disable=SC2046 # words
    case ${1-} in @*)
        _bell=${1#@}
        set -- $(cat "list.$_bell".*)
        rm -f "list.$_bell".* ;;
    esac
    _nonce=$_call _frames=0 _waiting=$# _ended="" _anew=""
    _bell=${1-} _bell=${_bell%%=*}
    _bell=bell.${_bell#"${_bell%????}"}.$_call
    now
    _begun=$_now
    if mkfifo "$_bell" 2>/dev/null; then exec 4<>"$_bell"; else _bell=; fi
    for _word in "$@"; do
        key_of "${_word%%=*}"
        eval "_waits_$_key=\$_word _pids_$_key="
    done
    # All processes are looked at only when a second has passed without a word: most checks that have
    # ended are told at once.
    _closely="" _closer=yes _looked=0
    find_ended "$@"
    while :; do
        while [ -n "$_ended" ]; do
            [ "$_stream" = 1 ] || break 2
            report_ended
        done
        if [ "$_waiting" -le 0 ] || [ -n "$_anew" ] || [ ! -f supervisor.sh ]; then break; fi
        since "$_begun"
        _left=$((_expire * 100 - _took))
        [ "$_left" -gt 0 ] || break
        if [ "$((_took - _looked))" -ge 150 ]; then
            # One end follows the other, and one that is lost would not be missed.
            _looked=$_took
            look "$@"
            continue
        fi
        _heard=
        if [ -n "$_bell" ]; then
            rounds "$_left"
            hear "$_round" "$_bell"
            [ -p "$_bell" ] || break
        else
            # None can be made here (no space, read-only).
            sleep 1
        fi
        key_of "$_heard"
        case $_heard in
        "" | timer)
            _looked=$((_took + 100))
            look "$@"
            continue ;;
        esac
        case $_key in
        *[!0-9A-Za-z_]*) _word=unknown ;;
        *) eval "_word=\${_waits_$_key-unknown}" ;;
        esac
        case $_word in
        # It has been reported already.
        "") ;;
        # "closed", or a job that was started since, or a part of a word that came just as the time
        # was over: then look once more, and let the caller ask anew.
        unknown)
            find_ended "$@"
            _anew=yes ;;
        *) find_ended "$_word" ;;
        esac
    done
    [ -z "$_bell" ] || rm -f "$_bell"
    [ "$_stream" = 0 ] || _ended=
    report_ended
    exit 0
}

# key_of ID: set $_key to what may end the name of a variable. There are variables for each job that
# is waited for, since a list would have to be searched at each end: $_waits_KEY is its word, empty
# once it has ended, and $_pids_KEY are the processes to look after.
key_of() {
    _key=${1#*-}
}

# find_ended ID=TIMEOUT.GRACE=LIMIT...: move those that have ended from what is waited for to $_ended.
find_ended() {
    for _word in "$@"; do
        key_of "${_word%%=*}"
        eval "_word=\$_waits_$_key"
        if [ -n "$_word" ] && has_ended "${_word%%=*}"; then
            _ended="$_ended $_word"
            eval "_waits_$_key="
        fi
    done
    _closely=
}

# look ID=TIMEOUT.GRACE=LIMIT...: around, after about a second, by builtins alone; closer the first time, and where
# a process or a file is missing.
look() {
    for _word in "$@"; do
        key_of "${_word%%=*}"
        _pids=
        eval "_word=\$_waits_$_key _pids=\$_pids_$_key"
        [ -n "$_word" ] || continue
        [ -p "${_word%%=*}/alive" ] || _closer=yes
        for _pid in $_pids; do
            [ "$_pid" = 0 ] || lives "$_pid" "${_word%%=*}" || _closer=yes
        done
    done
    if [ -n "${_closer-}" ]; then
        _closer="" _closely=yes
        find_ended "$@"
    elif [ -z "$_bell" ]; then
        find_ended "$@"
    fi
}

# report_ended: a frame with jobs of $_ended, which keeps those for which there is no room in it.
report_ended() {
    _frames=$((_frames + 1))
    [ "$_stream" = 0 ] || _nonce=$_call.$_frames
    reply
    _spent=0 _over=""
    for _word in $_ended; do
        if [ "$_spent" -lt "$_budget" ]; then
            report "${_word%%=*}" "${_word##*=}"
            _waiting=$((_waiting - 1))
        else
            _over="$_over $_word"
        fi
    done
    _ended=$_over
    end_frame
}

# has_ended ID, the job of $_key; if not, $_closer says to look again. A job whose guard is gone gets a new
# one, which finds out what became of it.
has_ended() {
    find_state "$1/"
    case $_state in
    state.run.* | state.end.*)
        eval "_pids_$_key=\"$_sup $_gid\""
        _pids=$_gid ;;
    # Removed; or we have looked at it just as it changed; or its guard will make it anew.
    "")
        [ -p "$1/alive" ] || return 0
        _closer=yes
        eval "_pids=\$_pids_$_key" ;;
    *) return 0 ;;
    esac
    [ -n "$_closely" ] || return 1
    for _pid in $_pids; do ! lives "$_pid" "$1" "guard:$1" || return 1; done
    _closer=yes
    # Where no state can be changed, only that nothing is left can be seen to.
    lives "$_sup" "$1" "run:$1" || writable "$1" || ! is_over "$1" || return 0
    regard "$1" "${_word#*=}"
    return 1
}

# is_over ID: is nothing left of its check?
is_over() {
    (
        _id=$1
        cd "$_id" && tree
        [ -z "$_tree" ]
    )
}

# regard ID TIMEOUT.GRACE=LIMIT: start its guard again.
regard() {
    guard_shell
    set -- "$1" "${2%%=*}" "${2#*=}"
    (cd "$1" && exec $_setsid "$_gsh" $_lent ../supervisor.sh guard "$_sh" "$1" "guard:$1" "" "" "${2%.*}" "${2#*.}" "$3" \
        8>/dev/null 4<&- </dev/null >/dev/null 2>&1) &
}

# tail NONCE RUN ID=LIMIT...: report jobs as they stand.
tails() {
    guard_shell
    [ "$_gsh" = "$_sh" ] || exec "$_gsh" $_lent ./supervisor.sh tail "$_gsh" "$@"
    _nonce=$1 _run=$2
    shift 2
    reply
    _spent=0
    for _word in "$@"; do report "${_word%%=*}" "${_word##*=}"; done
    finish
}

# keep NONCE RUN PART WORD...: for an await that names "@LIST": its words, in files list.PART, where
# PART is LIST.NUMBER, since a request has room for 1,400 of them or so.
keep() {
    _nonce=$1
    _part=$3
    shift 3
    reply
    { (umask 077 && echo "$*" >"new.list.$_part") && mv "new.list.$_part" "list.$_part"; } 2>/dev/null ||
        refuse "*" "cannot write to $PWD"
    finish
}
