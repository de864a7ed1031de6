# The requests that tell of jobs: await, which waits until they end, tail, which tells how they
# stand, and store, which takes in what an await has no room for. A request that waits also looks
# whether the guards are there, and starts one that is gone again.

# await: report the jobs that have ended, as soon as there is one, or none when the time is over.
# With proof=1 what is not reported, nor refused, is proven to run, and the time is for finding out.
# With stream=1 frames NONCE.1, NONCE.2 and so on follow each other until all have ended, or the
# time is over, and an empty frame is the last. The first one begins as soon as each end is heard.
await() {
    find_guard_shell
    # A shell that has a read with a time-out looks around without a fork.
    [ "$_guard_shell" = "$_sh" ] ||
        exec "$_guard_shell" $_shell_option ./supervisor.sh await "$_guard_shell" "$_nonce" "$_run" "$@"
    _owner=${_nonce%"${_nonce#????}"}
    _call=$_nonce _frames=0 _in_frame="" _waiting=0 _ended="" _are_ready="" _ask_again=""
    reply
    each_job await_job "$@"
    case .$_expire_s.$_budget.$_stream. in *..*) lacks expire_s budget stream ;; esac
    if [ -n "$_list" ]; then
        # shellcheck disable=SC2046 # words
        set -- $(cat "list.$_list".*)
        rm -f "list.$_list".*
        each_job await_job "$@"
    fi
    _bell=bell.${_id#"${_id%????}"}.$_call
    now
    _begun=$_now
    if mkfifo "$_bell" 2>/dev/null; then exec 4<>"$_bell"; else _bell=; fi
    # Processes are looked at only when a second has passed without a word: of most checks that have
    # ended the bell tells at once.
    _closely="" _closely_next=yes _looked=0
    [ -z "$_proof" ] || _closely=yes _closely_next=
    find_ended "$@"
    if [ "$_stream" = 1 ] && [ -z "$_ended$_are_ready" ]; then
        # A job that the caller has started since may have ended before the bell was there. Now it is
        # time to ask about it.
        begin_frame
        flush
    fi
    while :; do
        while [ -n "$_ended$_are_ready" ]; do
            [ "$_stream" = 1 ] || break 2
            report_ended
        done
        if [ "$_waiting" -le 0 ] || [ -n "$_ask_again" ] || [ ! -f supervisor.sh ]; then break; fi
        # A guard that was gone has to find out first whether its job runs.
        if [ -n "$_proof" ] && [ -z "$_closely_next" ]; then break; fi
        since "$_begun"
        _left=$((_expire_s * 100 - _took))
        [ "$_left" -gt 0 ] || break
        if [ "$((_took - _looked))" -ge 150 ]; then
            # While ends keep coming, one whose bell was missed must not wait for a quiet second.
            _looked=$_took
            look_around "$@"
            continue
        fi
        _heard=
        if [ -n "$_bell" ]; then
            next_round "$_left"
            hear "$_round" "$_bell"
            [ -p "$_bell" ] || break
        else
            # No bell can be made here: there is no space, or the file system is read-only.
            sleep 1
        fi
        key_of "$_heard"
        case $_heard in
        "" | timer)
            _looked=$((_took + 100))
            look_around "$@"
            continue ;;
        esac
        case $_key in
        *[!0-9A-Za-z_]*) _word=unknown ;;
        *) eval "_word=\${_waits_$_key-unknown}" ;;
        esac
        case $_word in
        # It has been reported already.
        "") ;;
        # "closed", or a job that was started later, or a part of a word that came just as the time
        # was over. Then look once more, and have the caller ask again.
        unknown)
            case $_key in
            *_"$_owner"????) ;;
            # A job of which another process of the run knows alone.
            *_????????) continue ;;
            esac
            find_ended "$@"
            _ask_again=yes ;;
        *) find_ended "id=$_word" ;;
        esac
    done
    [ -z "$_bell" ] || rm -f "$_bell"
    [ "$_stream" = 0 ] || _ended="" _are_ready=""
    if [ -n "$_proof" ] && [ -n "$_closely_next" ]; then
        begin_frame
        refuse "*" "what became of a job is not known yet"
    fi
    report_ended
    exit 0
}

# await_job: take note of a job that is waited for.
await_job() {
    case .$_timeout_cs.$_grace_cs.$_output_limit. in *..*) lacks timeout_cs grace_cs output_limit ;; esac
    _waiting=$((_waiting + 1))
    key_of "$_id"
    eval "_waits_$_key=\$_id _unready_$_key=\$_unready _pids_$_key= _limits_$_key=\"\$_timeout_cs \$_grace_cs \$_output_limit\""
}

# key_of ID, or id=ID: set $_key to what ends the names of this job's variables. Each job that is
# waited for has some, since a list would have to be searched at each end: $_waits_KEY is its id, or
# empty once it has ended, $_pids_KEY are its supervisor and its guard, $_limits_KEY its time-out,
# grace period and output limit, and $_unready_KEY says that it is to be told when it is ready.
key_of() {
    _key=${1#*-}
}

# find_ended WORD...: move the jobs of these words that have ended from those that are waited for to
# $_ended, and add those that have become ready to $_are_ready. The words are the request's own,
# since a list of thousands of jobs takes a shell seconds to make.
find_ended() {
    for _word in "$@"; do
        case $_word in id=*) ;; *) continue ;; esac
        key_of "$_word"
        eval "_word=\$_waits_$_key _told=\$_unready_$_key"
        if [ -n "$_word" ] && has_ended "$_word"; then
            _ended="$_ended $_word"
            eval "_waits_$_key="
        elif [ -n "$_told" ] && is_ready "$_word"; then
            _are_ready="$_are_ready $_word"
            eval "_unready_$_key="
        fi
    done
    _closely=
}

# look_around WORD...: look after the jobs in these words, about once a second, by builtins alone;
# and closely the first time, or if a process or a file is missing.
look_around() {
    for _word in "$@"; do
        case $_word in id=*) ;; *) continue ;; esac
        key_of "$_word"
        _pids=
        eval "_word=\$_waits_$_key _pids=\$_pids_$_key _told=\$_unready_$_key"
        [ -n "$_word" ] || continue
        [ -p "$_word/alive" ] || _closely_next=yes
        for _pid in $_pids; do
            [ "$_pid" = 0 ] || looks_after "$_pid" "$_word" || _closely_next=yes
        done
        [ -z "$_told" ] || find_ended "id=$_word"
    done
    if [ -n "${_closely_next-}" ]; then
        _closely_next="" _closely=yes
        find_ended "$@"
    elif [ -z "$_bell" ]; then
        find_ended "$@"
    fi
}

# report_ended: tell the jobs of $_ended in a frame. Those for which it has no room stay in $_ended.
report_ended() {
    begin_frame
    _spent=0 _later=""
    for _word in $_are_ready; do tell_ready "$_word"; done
    _are_ready=""
    for _word in $_ended; do
        if [ "$_spent" -lt "$_budget" ]; then
            key_of "$_word"
            eval "report \$_word \${_limits_$_key##* }"
            _waiting=$((_waiting - 1))
        else
            _later="$_later $_word"
        fi
    done
    _ended=$_later
    end_frame
    _in_frame=
}

# is_ready ID: is this service ready?
is_ready() {
    set -- "$1/ready".*
    [ -e "$1" ]
}

# tell_ready ID: tell that this service is ready, unless it has ended since: that is told instead.
tell_ready() {
    find_state "$1/"
    case $_state in state.run.* | state.end.*) ;; *) return 0 ;; esac
    since "$_start"
    find_ready "$1/"
    [ "$_ready_cs" = - ] || record ready "$1" "$_took" "$_ready_cs"
}

# begin_frame: begin the next frame, unless it was begun before.
begin_frame() {
    [ -z "$_in_frame" ] || return 0
    _in_frame=yes _frames=$((_frames + 1))
    [ "$_stream" = 0 ] || _nonce=$_call.$_frames
    reply
}

# has_ended ID: has this job, which is that of $_key, ended? If its guard is gone, it gets a new
# one, which finds out what became of it, and $_closely_next says to look closely again.
has_ended() {
    find_state "$1/"
    case $_state in
    state.run.* | state.end.*)
        eval "_pids_$_key=\"$_supervisor $_guard\""
        _pids=$_guard ;;
    # The directory was removed, or the state changed in this instant, or the guard will make it
    # again.
    "")
        [ -p "$1/alive" ] || return 0
        _closely_next=yes
        eval "_pids=\$_pids_$_key" ;;
    *) return 0 ;;
    esac
    [ -n "$_closely" ] || return 1
    for _pid in $_pids; do
        looks_after "$_pid" "$1" "guard:$1" || continue
        # One that has just begun may be about to find out that nothing runs.
        [ -z "$_proof" ] || runs "$1" || _closely_next=yes
        return 1
    done
    _closely_next=yes
    # Where no state can be changed, a job has ended when no supervisor and no process of it is
    # left.
    looks_after "$_supervisor" "$1" "run:$1" || writable "$1" || ! is_over "$1" || return 0
    guard_again "$1"
    return 1
}

# runs ID: does this job run, of which $_state is the state? Its supervisor has to be there, and what
# it looks after.
runs() {
    case $_state in
    state.run.*) looks_after "$_supervisor" "$1" "run:$1" && ! is_ending "$1" ;;
    # Somebody has asked for its end, and at the run's end that is no news.
    state.end.cancel.*) [ "$_proof" = end ] ;;
    *) false ;;
    esac
}

# is_ending ID: has the job's first process gone, and all that a service has left, and its supervisor
# has not said yet what that means?
is_ending() {
    # Between two samples a probe has no process.
    [ ! -p "$1/ask" ] || return 1
    _id=$1
    (
        # Between two attempts there is none.
        { sees_others && cd "$_id" && find_leader && [ "$_leader" != none ]; } || exit 1
        find_birth "$_leader"
        case $_stat in "" | Z | X) ;; *) [ "$_born" != "$_leader_born" ] || exit 1 ;; esac
        [ -e stays ] || exit 0
        find_own
        [ -z "$_own" ]
    )
}

# is_over ID: is nothing left of its check?
is_over() {
    _id=$1
    (
        cd "$_id" && find_probe && find_tree
        [ -z "$_tree" ]
    )
}

# guard_again ID: start a guard of this job, which is that of $_key.
guard_again() {
    find_guard_shell
    eval "set -- \"\$1\" \$_limits_$_key"
    (cd "$1" && exec $_setsid "$_guard_shell" $_shell_option ../supervisor.sh guard "$_sh" "$1" "guard:$1" "" "" \
        "$2" "$3" "$4" 8>/dev/null 4<&- </dev/null >/dev/null 2>&1) &
}

# tell_jobs: report jobs as they stand: the request tail.
tell_jobs() {
    find_guard_shell
    [ "$_guard_shell" = "$_sh" ] ||
        exec "$_guard_shell" $_shell_option ./supervisor.sh tail "$_guard_shell" "$_nonce" "$_run" "$@"
    reply
    _spent=0
    each_job tell_job "$@"
    finish
}

tell_job() {
    [ -n "$_output_limit" ] || lacks output_limit
    report "$_id" "$_output_limit"
}

# store: keep words for an await in a file list.NAME.NUMBER, since a request has no room for more
# than so many.
store() {
    reply
    each_job : "$1"
    [ -n "$_list" ] || lacks list
    shift
    { (umask 077 && echo "$*" >"new.list.$_list") && mv "new.list.$_list" "list.$_list"; } 2>/dev/null ||
        refuse "*" "cannot write to $PWD"
    finish
}
