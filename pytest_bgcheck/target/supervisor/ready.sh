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
#
# Its guard starts the watcher, which waits until the service is ready, renames the file unready.*,
# and goes. Whoever wants to be the watcher, or to end a service that has had its time, renames that
# file too: so there is one watcher, and a service is called ready or is ended for not being so.

# watch LIMIT: the watcher.
watch() {
    _limit=$1
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
        while since "$_look_start"; [ "$_took" -lt 50 ]; do pause; done
    done
    # What has answered may be another program, if this one has just ended.
    find_tree
    [ -n "$_tree" ] || [ ! -r /proc/self/stat ] || exit 0
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
    [ -n "$_tree" ] || return 1
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
    (exec $_setsid "$_sh" ../supervisor.sh look "$_sh" "$_id" "look:$_id" "${_call#*.}" "${_call%%.*}" \
        </dev/null >>"$_to" 2>&1) &
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
    go_on
    _how=${_how:-$_rc}
    if mv look.new "look.out.$_how" 2>/dev/null; then
        for _file in look.out.*; do
            [ "$_file" = "look.out.$_how" ] || rm -f "$_file"
        done
    fi
}

# end_look: kill the ready command, with all that it has started.
end_look() {
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
    _id=$_id.look _job=$PWD _cwd=""
    PYTEST_BGCHECK_JOB=$_id
    export PYTEST_BGCHECK_JOB
    read_home "../home.$1" || refuse_look home
    umask "$2"
    # The check's own would say that it could not be run.
    refuse_run() { refuse_look "$1"; }
}

# refuse_look WHY: end instead of the ready command.
refuse_look() {
    echo "pytest-bgcheck cannot run it here: $1"
    exit 125
}

# await_pattern: wait until a line of the output matches. For each stream $_line_STREAM is where the
# first line begins that is not whole yet, and $_end_STREAM how far was looked, both counted in the
# whole stream, whatever was cut out of the file; $_first_STREAM is "1d;" if that line has lost its
# beginning.
await_pattern() {
    mark_of "$_id"
    _head=$((_limit / 2 + ${#_mark}))
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

# search_output: search what is new in $_which, a block at a time, so that memory is bounded. A line
# that is longer than a block is not matched.
search_output() {
    [ -f "$_which" ] || return 0
    read_dropped "" "$_which" 1
    _cut=$_record
    size_of "$_which"
    case $_cut in *.busy) return 0 ;; esac
    add "$_size" "$_dropped"
    _size=$_sum
    [ "$_size" != "$_end" ] || return 0
    if [ "$_end" = "${#_mark}" ] && [ "$(head -c "$_end" "$_which")" != "$_mark" ] || [ "$_size" -lt "$_end" ]; then
        # The service has emptied it.
        _line=0 _end=0 _first=""
    elif [ "$_dropped" != 0 ] && [ "$((_line - _dropped))" -lt "$_head" ]; then
        # Whoever has cut this out has searched it.
        _line=$((_head + _dropped)) _first="1d;"
        _end=$_line
    fi
    while [ "$_end" -lt "$_size" ] && [ ! -e matched ]; do
        search_block
        go_on
        # If it was cut meanwhile, these were not the bytes that they seemed.
        read_dropped "" "$_which" 1
        [ "$_record" = "$_cut" ] || return 0
        eval "_line_$_which=\$_line _end_$_which=\$_end _first_$_which=\$_first"
    done
}

search_block() {
    _to=$((_end + 1048576))
    [ "$_to" -le "$_size" ] || _to=$_size
    if [ "$(($(print_range "$_end" | wc -l)))" = 0 ]; then
        if [ "$((_to - _line))" -gt 1048576 ]; then _line=$_to _first="1d;"; fi
    else
        # The x makes the last line, which is not whole, one that can be told and left out.
        ! { print_range "$_line"; echo x; } | matches "$_first" || mv pattern matched
        _rest=$(($({ print_range "$_end"; echo x; } | tail -n 1 | wc -c) - 2))
        _line=$((_to - _rest)) _first=""
    fi
    _end=$_to
}

# print_range FROM: print the bytes of $_which from there to $_to.
print_range() {
    print_from "$(($1 - _dropped))" "$_which" | head -c "$((_to - $1))"
}

# stay START TIMEOUT RC: what the supervisor becomes when the first process of a service has ended. If
# that succeeded, the service lives on in the processes that it has left. If not, they are killed: a
# successor may need their port.
stay() {
    _from=$1 _given_timeout=$2 _rc=$3 _attempt=1 _own=""
    while [ "$_rc" = 0 ] && find_own; [ -n "$_own" ]; do
        while some_live; do
            # By env, as in supervise; its mark is that of the ready command.
            env PYTEST_BGCHECK_JOB="$_id.look" sleep 1 9<&-
            still_runs || exit 0
        done
    done
    kill_all
    publish_exit
}

# find_own: set $_own to a word PID:BORN for each process of the service, without those of its ready
# command.
find_own() {
    find_tree
    find_marked "$_id.look"
    _own=""
    for _word in $_known; do
        case $_marked in *" ${_word%:*} "*) ;; *) _own="$_own $_word" ;; esac
    done
}

# some_live: does a process of $_own live? By builtins alone.
some_live() {
    for _word in $_own; do
        if exists "${_word%:*}"; then
            find_birth "${_word%:*}"
            [ "$_born" != "${_word#*:}" ] || return 0
        fi
    done
    return 1
}
