# When a service is ready, and how one lives on whose first process has ended.
#
# A service is a job with these files beside those of every job:
#
#   look                                  the specification of its ready command; empty: it has none
#   pattern                               the expression that a line of its output has to match, if any;
#                                         it is renamed to `matched` when one does
#   look.new, look.out.RC                 what the ready command writes, and what it wrote when it last
#                                         ended, with RC, which is "killed" if it took too long
#   unready.WATCHER.TIMEOUT.UMASK.CALL    it is not ready; see find_watcher
#   ready.CENTISECONDS                    it was ready so long after its start
#   stays                                 its first process has ended, and it lives on in others
#
# Its guard starts the watcher, which waits until the service is ready, renames the file unready.*,
# and goes. Whoever wants to be the watcher, or to end a service that has had its time, renames that
# file too: so there is one watcher, and a service is called ready or is ended for not being so.

# watch LIMIT: the watcher.
watch() {
    _limit=$1 _last_watcher=0
    find_watcher
    _claim=unready.$$.$_unready_rest _look_pid=none
    { [ -n "$_unready" ] && mv "$_unready" "$_claim"; } 2>/dev/null || exit 0
    # Of a watcher that was killed.
    end_look
    await_settled
    [ ! -e pattern ] || await_pattern
    while [ -s look ]; do
        look_once
        [ "$_rc" != 0 ] || break
        await_next_look
    done
    # What has answered may be another program, if this one has just ended.
    find_tree
    [ -n "$_tree" ] || ! sees_others || exit 0
    go_on
    [ "$_took" -gt 0 ] || _took=1
    mv "$_claim" "ready.$_took" 2>/dev/null || exit 0
    ring "$_id"
    exit 0
}

# go_on: leave if there is nothing to watch any more. Sets $_took to the time since the start.
go_on() {
    _tries=0
    until [ ! -e "$_claim" ] || still_runs; do
        # It may have changed its name in this instant.
        _tries=$((_tries + 1))
        if [ -n "$_state" ] || [ "$_tries" -ge 3 ]; then break; fi
        nap
    done
    since "${_start:-0}"
    case $_state in state.run.*) ;; *) _claim= ;; esac
    # Its guard would have ended it. If that was killed, and nobody asks, this is over too.
    if [ ! -e "$_claim" ] || [ "$_took" -gt "$((_ready_timeout + 1000))" ]; then
        end_look
        exit 0
    fi
}

# pause: wait for a moment.
pause() {
    nap
    go_on
}

# await_settled: wait until the service does what it is there for: its program was executed, and its
# processes have come to wait for something. A recorder that is told of too early misses what comes
# next; and what a predecessor on the same port answers must not make a service ready that is about
# to fail for that. One that does not come to rest within 5 s, or has used half a second of CPU,
# surely does what it is there for.
await_settled() {
    _activity=""
    while go_on; ! is_settled; do nap; done
}

is_settled() {
    if [ ! -r /proc/self/stat ]; then
        [ "$_took" -ge 100 ]
        return
    fi
    find_tree
    if [ -z "$_tree" ]; then
        ! sees_others && [ "$_took" -ge 100 ]
        return
    fi
    # One of these is an argument as long as this is our launcher, or its env. (The path of a script
    # has the id in it, too.)
    ! tr "\000" "\n" 2>/dev/null <"/proc/$_leader/cmdline" |
        grep -qxF -e "../supervisor.sh" -e "PYTEST_BGCHECK_JOB=$_id" || return 1
    [ "$_took" -lt 500 ] || return 0
    _before=$_activity _activity="" _cpu=0 _busy=""
    find_activity
    for _word in $_activity; do
        case $_word in R* | D*) _busy=yes ;; esac
        _word=${_word#*:*:*:}
        _cpu=$((_cpu + ${_word%:*} + ${_word#*:}))
    done
    [ "$_cpu" -lt 50 ] || return 0
    [ -z "$_busy" ] && [ -n "$_activity" ] && [ "$_activity" = "$_before" ]
}

# find_activity: set $_activity to a word STATE:FAULTS:FAULTS:TICKS:TICKS for each thread of $_tree.
find_activity() {
    set --
    for _pid in $_tree; do set -- "$@" "/proc/$_pid/task"/*/stat; done
    _activity=$(cat "$@" 2>/dev/null | LC_ALL=C sed -n \
        "s/^.*) \([A-Za-z]\)\( [-0-9]*\)\{6\} \([0-9]*\) [0-9]* \([0-9]*\) [0-9]* \([0-9]*\) \([0-9]*\) .*/\1:\3:\4:\5:\6/p")
}

# look_once: run the ready command, and set $_rc to how it ended, and $_look_start to when it began.
# It has 10 s.
look_once() {
    _to=look.new _how=""
    { printf "" >look.new; } 2>/dev/null || _to=/dev/null
    _call=${_unready_rest#*.}
    (PYTEST_BGCHECK_JOB=$_id.look && export PYTEST_BGCHECK_JOB && exec $_setsid "$_sh" ../supervisor.sh look \
        "$_sh" "$_id" "look:$_id" "${_call#*.}" "${_call%%.*}" </dev/null >>"$_to" 2>&1 9<&-) &
    _look_pid=$!
    now
    _look_start=$_now
    while nap; exists "$_look_pid"; do
        go_on
        size_of look.new
        [ "$_size" -lt 1000000 ] || { printf "" >look.new; } 2>/dev/null
        since "$_look_start"
        [ "$_took" -lt 1000 ] || { _how=killed; end_look; }
    done
    wait "$_look_pid" 2>/dev/null
    _rc=$?
    exit_code
    # What it has left running.
    end_look
    _look_pid=none
    go_on
    _how=${_how:-$_rc}
    if mv look.new "look.out.$_how" 2>/dev/null; then
        for _file in look.out.*; do
            [ "$_file" = "look.out.$_how" ] || rm -f "$_file"
        done
    fi
}

# await_next_look: wait until half a second has passed since the ready command was run.
await_next_look() {
    while since "$_look_start"; [ "$_took" -lt 50 ]; do pause; done
}

# end_look: kill the ready command, with all that it has started.
end_look() {
    if [ ! -r /proc/self/stat ] && [ "$_look_pid" != none ]; then
        kill -KILL "-$_look_pid" || kill -KILL "$_look_pid"
    fi 2>/dev/null
    _rounds=0
    while
        find_marked "$_id.look"
        read_processes
        for _word in $_table; do
            read_row "$_word"
            [ "$_session" != "$_look_pid" ] || _marked="$_marked$_pid "
        done
        [ "$_marked" != " " ] && [ "$_rounds" -lt 20 ]
    do
        for _pid in $_marked; do kill -KILL "$_pid" 2>/dev/null; done
        _rounds=$((_rounds + 1))
        nap
    done
}

# prepare_look CALL UMASK: prepare for the ready command, which ./look then executes, as launch does for
# the service.
prepare_look() {
    # Whoever ends the job changes its state, and then looks for the mark, which this process has.
    still_runs || exit 125
    _id=$_id.look _job=$PWD _cwd=""
    read_home "../home.$1" || refuse_look home
    umask "$2"
    # That of launch would say that the service could not be run.
    refuse_run() { refuse_look "$1"; }
}

# refuse_look WHY: end instead of the ready command.
refuse_look() {
    echo "pytest-bgcheck cannot run it here: $1"
    exit 125
}

# await_pattern: wait until a line of the output matches. For each stream $_line_STREAM is where the
# first line begins that is not whole yet, and $_end_STREAM how far was searched, both counted in the
# whole stream, whatever was cut out of the file; $_first_STREAM is yes if that line has lost its
# beginning.
await_pattern() {
    mark_of "$_id"
    _line_out=${#_mark} _end_out=${#_mark} _first_out=""
    _line_err=${#_mark} _end_err=${#_mark} _first_err=""
    until [ -e matched ]; do
        pause
        for _which in out err; do
            eval "_line=\$_line_$_which _end=\$_end_$_which _first=\$_first_$_which"
            search_output
        done
    done
}

# search_output: search what is new in $_which.
search_output() {
    [ -f "$_which" ] || return 0
    find_extent
    _was=$_record.$_hole
    case $_record in *.busy) return 0 ;; esac
    [ "$_size" != "$_end" ] || return 0
    if [ "$_size" -lt "$_end" ] ||
        { [ "$_end" = "${#_mark}" ] && [ "$(head -c "$_end" "$_which" | tr -d "\000")" != "$_mark" ]; }; then
        # The service has emptied it.
        _line=0 _end=0 _first=""
    fi
    skip_to "$_gone"
    while [ "$_end" -lt "$_size" ] && [ ! -e matched ]; do
        search_block
        go_on
        read_dropped "" "$_which" 1
        find_hole . "$_which"
        # If it was cut meanwhile, these were not the bytes that they seemed.
        [ "$_record.$_hole" = "$_was" ] || return 0
        [ -z "$_found" ] || mv pattern matched
        eval "_line_$_which=\$_line _end_$_which=\$_end _first_$_which=\$_first"
    done
}

# find_extent: set $_size to the size of the whole stream $_which, and $_gone to the end of what was cut
# out of it, and searched by whoever has cut it.
find_extent() {
    read_dropped "" "$_which" 1
    find_hole . "$_which"
    _gone=$_hole
    if [ "$_dropped" != 0 ] && [ "$_gone" -lt "$((_limit / 2 + ${#_mark} + _dropped))" ]; then
        _gone=$((_limit / 2 + ${#_mark} + _dropped))
    fi
    size_of "$_which"
    add "$_size" "$_dropped"
    _size=$_sum
}

# skip_to OFFSET: do not search what lies ahead of it.
skip_to() {
    [ "$_line" -lt "$1" ] || return 0
    _line=$1 _first=yes
    [ "$_end" -ge "$_line" ] || _end=$_line
}

# search_block: search the next 4 MB, so that memory is bounded; a line that is longer is not matched.
# Set $_found if a line matches.
search_block() {
    _found="" _to=$((_end + 4194304))
    [ "$_to" -le "$_size" ] || _to=$_size
    # The x makes a last line of what stands behind the last newline, be it nothing.
    _rest=$(($({ print_range "$_end"; echo x; } | tail -n 1 | wc -c) - 2))
    if [ "$_rest" = "$((_to - _end))" ]; then
        _end=$_to
        [ "$((_to - _line))" -le 4194304 ] || skip_to "$_to"
        return
    fi
    _end=$_to _to=$((_to - _rest))
    if print_range "$_line" | without_first | LC_ALL=C grep -q -E -f pattern; then _found=yes; fi
    _line=$_to _first=""
}

# without_first: leave out the first line, if it has lost its beginning.
without_first() { if [ -n "$_first" ]; then tail -n +2; else cat; fi; }

# print_range FROM: print the bytes of $_which from there to $_to.
print_range() {
    print_from "$(($1 - _dropped))" "$_which" | head -c "$((_to - $1))"
}

# search STREAM FROM LIMIT: search what the guard is about to cut out, which was cut until FROM before.
# At most 128 MB of it, the last of a second, since limits have to be looked after.
search() {
    _which=$1 _limit=$3
    mark_of "$_id"
    _line=${#_mark} _end=${#_mark} _first=""
    find_extent
    # The line in which the last cut ended was not whole then.
    skip_to "$(($2 - 65536))"
    [ "$2" != 0 ] || skip_to "$_gone"
    skip_to "$((_size - 134217728))"
    while [ "$_end" -lt "$_size" ] && [ ! -e matched ]; do
        search_block
        [ -z "$_found" ] || mv pattern matched
    done
    exit 0
}

# stay START TIMEOUT RC CALL UMASK: what the supervisor becomes when the first process of a service has ended. If
# that succeeded, the service lives on in the processes that it has left. If not, they are killed: a
# successor may need their port.
stay() {
    _from=$1 _given_timeout=$2 _rc=$3 _call=$4 _mask=$5 _attempt=1 _own="" _is_service=yes
    _last_watcher=0 _started_watcher=0
    while [ "$_rc" = 0 ] && find_successors; [ -n "$_own" ]; do
        [ -e stays ] || still_answers || break
        { printf "" >stays; } 2>/dev/null
        while some_live; do
            # By env, as in supervise. Its mark tells it from the service and from the ready command.
            env PYTEST_BGCHECK_JOB="$_id.stay" sleep 1 9<&-
            still_runs || exit 0
        done
    done
    # First the watcher, which would take the end of its ready command for what it has to tell.
    end_watcher
    kill_all
    # A daemon that nobody can tell to be the service's own is left alone, but named.
    [ "$_rc" != 0 ] || { _seeks_daemon=yes && find_suspects; }
    publish_exit
}

# still_answers: does the ready command of a service that was ready succeed? Else its first process was
# what it is about, and what that has left is no daemon. It has three tries.
still_answers() {
    { is_ready . && [ -s look ]; } || return 0
    _claim=look _ready_timeout=$_given_timeout _unready_rest=0.$_mask.$_call _look_pid=none
    for _ in 1 2 3; do
        look_once
        [ "$_rc" != 0 ] || return 0
        await_next_look
    done
    _rc=0
    return 1
}

# find_successors: find_own, three times if there seem to be none: a daemon that forks twice can have
# one process that was not there yet and another one that was gone when each was looked at.
find_successors() {
    for _ in 1 2 3; do
        find_own
        [ -z "$_own" ] || return 0
        nap
    done
}

# some_live: does a process of $_own live? By builtins alone, and also if it is another user's.
some_live() {
    for _word in $_own; do
        find_birth "${_word%:*}"
        [ "$_born" = "${_word#*:}" ] || continue
        case $_stat in
        Z | X) ;;
        "") ! exists "${_word%:*}" || return 0 ;;
        *) return 0 ;;
        esac
    done
    return 1
}
