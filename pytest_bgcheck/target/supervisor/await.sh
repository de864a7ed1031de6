# The request that waits for jobs to end and tells of each that has. It also looks after the guards of
# those that have not: one that is gone is started again.

# await: report the jobs that have ended, as soon as there is one, or nothing when $_expire_s are over. A
# frame has outputs of $_budget bytes and then no further job. With $_stream 1 frames NONCE.1, NONCE.2, ...
# follow each other until all have ended or the time is over, and an empty one is the last.
await() {
    guard_shell
    # A shell that can bound a read looks around without a fork.
    [ "$_gsh" = "$_sh" ] || exec "$_gsh" $_lent ./supervisor.sh await "$_gsh" "$_nonce" "$_run" "$@"
    _call=$_nonce _frames=0 _ended="" _anew="" _jobs=""
    reply
    each_job await_job "$@"
    case .$_expire_s.$_budget.$_stream. in *..*) lacks expire_s budget stream ;; esac
    if [ -n "$_list" ]; then
        # shellcheck disable=SC2046 # words
        each_job await_job $(cat "list.$_list".*)
        rm -f "list.$_list".*
    fi
    # shellcheck disable=SC2086 # words
    set -- $_jobs
    _waiting=$# _bell=${1-}
    _bell=bell.${_bell#"${_bell%????}"}.$_call
    now
    _begun=$_now
    if mkfifo "$_bell" 2>/dev/null; then exec 4<>"$_bell"; else _bell=; fi
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
        _left=$((_expire_s * 100 - _took))
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

# await_job: remember one that is to be waited for.
await_job() {
    case .$_timeout_cs.$_grace_cs.$_output_limit. in *..*) lacks timeout_cs grace_cs output_limit ;; esac
    _jobs="$_jobs $_id"
    key_of "$_id"
    eval "_waits_$_key=\$_id _timeout_$_key=\$_timeout_cs _grace_$_key=\$_grace_cs _limit_$_key=\$_output_limit _pids_$_key="
}

# key_of ID: set $_key to what may end the name of a variable. There are variables for each job that
# is waited for, since a list would have to be searched at each end: $_waits_KEY is its id, empty once
# it has ended, $_pids_KEY are the processes to look after, and its words are $_timeout_KEY, $_grace_KEY
# and $_limit_KEY.
key_of() {
    _key=${1#*-}
}

# find_ended ID...: move those that have ended from what is waited for to $_ended.
find_ended() {
    for _word in "$@"; do
        key_of "$_word"
        eval "_word=\$_waits_$_key"
        if [ -n "$_word" ] && has_ended "$_word"; then
            _ended="$_ended $_word"
            eval "_waits_$_key="
        fi
    done
    _closely=
}

# look ID...: around, after about a second, by builtins alone; closer the first time, and where
# a process or a file is missing.
look() {
    for _word in "$@"; do
        key_of "$_word"
        _pids=
        eval "_word=\$_waits_$_key _pids=\$_pids_$_key"
        [ -n "$_word" ] || continue
        [ -p "$_word/alive" ] || _closer=yes
        for _pid in $_pids; do
            [ "$_pid" = 0 ] || lives "$_pid" "$_word" || _closer=yes
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
            key_of "$_word"
            eval "_output_limit=\$_limit_$_key"
            report "$_word" "$_output_limit"
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
    guard_again "$1"
    return 1
}

# is_over ID: is nothing left of its check?
is_over() {
    _id=$1
    (
        cd "$_id" && tree
        [ -z "$_tree" ]
    )
}

# guard_again ID: start the guard of this job, which is that of $_key.
guard_again() {
    guard_shell
    eval "_timeout=\$_timeout_$_key _grace=\$_grace_$_key _output_limit=\$_limit_$_key"
    (cd "$1" && exec $_setsid "$_gsh" $_lent ../supervisor.sh guard "$_sh" "$1" "guard:$1" "" "" \
        "$_timeout" "$_grace" "$_output_limit" 8>/dev/null 4<&- </dev/null >/dev/null 2>&1) &
}

# tails: report jobs as they stand.
tails() {
    guard_shell
    [ "$_gsh" = "$_sh" ] || exec "$_gsh" $_lent ./supervisor.sh tail "$_gsh" "$_nonce" "$_run" "$@"
    reply
    _spent=0
    each_job tail_job "$@"
    finish
}

tail_job() {
    [ -n "$_output_limit" ] || lacks output_limit
    report "$_id" "$_output_limit"
}

# keep: store words for an await, since a request has room for so many: in a file list.NAME.NUMBER.
keep() {
    reply
    each_job : "$1"
    [ -n "$_list" ] || lacks list
    shift
    { (umask 077 && echo "$*" >"new.list.$_list") && mv "new.list.$_list" "list.$_list"; } 2>/dev/null ||
        refuse "*" "cannot write to $PWD"
    finish
}
