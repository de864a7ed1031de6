#!/bin/sh
# What pytest-bgcheck runs on a target: POSIX sh and the basic utilities, nothing else.
#
# A run is a directory, a job is a directory in it, and the directory is the truth. The name of a
# job's one `state.*` file is its state; a state changes only by rename, which is atomic, works on a
# full disk, and lets exactly one of several contenders win:
#
#   state.new                        claimed by mkdir, not yet running
#   state.run.START.TIMEOUT.GRACE    the check runs (centiseconds)
#   state.end.KIND.START.GRACE       somebody ends it; KIND: timeout, cancel or lost
#   state.exit.RC.TOOK.ATTEMPTS      final: the command ended by itself
#   state.KIND.TOOK.ATTEMPTS.LEFT    final: timeout, cancel or lost; LEFT processes could not be killed
#   state.refused.WHY                final: it could not be run
#
# Each job has two processes beside the check's own:
#
#   run    the supervisor. It runs the check in the foreground, so that the exit code is exact and
#          SIGINT is not ignored in the check, holds the write end of the FIFO `alive`, and publishes.
#   guard  enforces the limits. It is blocked reading `alive`: end-of-file is the kernel's word that
#          the supervisor is gone, however it went; the read's own time-out is the check's.
#
# Descriptors go to a child by a redirection of its own, in a subshell that becomes the child: ksh
# and mksh pass on no others, and mksh and yash keep a copy of what they redirect in their own shell.
#
# A shell whose `read` has no -t (dash, yash) lends the guard to bash where there is one, and else
# to two more processes, a subshell with its sleep. CHLD traps would save these, but bash in POSIX
# mode forgets the exit code it was waiting for, and a wrong verdict is worse than a process.
#
# Whoever waits for jobs makes a FIFO `bell.*` in the run's directory; each end rings all bells. A
# bell is opened read-write (1<>), which never blocks, so that a dead waiter's bell harms nobody.
#
# Values come in as arguments or files, never as program text. The code has no single quotes: each
# would cost five bytes at every level of quoting on its way here. Comments are not sent.

set -u
# With it, "cd name" could lead elsewhere.
unset CDPATH

# --- clocks -------------------------------------------------------------------------------------

# now: set $now to the monotonic clock in centiseconds, modulo 11.5 days (mksh counts in 32 bits).
now() {
    if read -r now _ 2>/dev/null </proc/uptime; then
        now=$((${now%.*} % 1000000 * 100 + 1${now#*.} - 100))
    else
        now=$(($(date +%s) % 1000000 * 100))
    fi
}

# since START: set $took to the centiseconds from START until now.
since() {
    now
    took=$((now - $1))
    [ "$took" -ge 0 ] || took=$((took + 100000000))
}

# --- waiting --------------------------------------------------------------------------------------

# timed_read: can this shell bound a read?
timed_read() {
    # shellcheck disable=SC3045 # this asks whether it is there
    [ -n "${timed-}" ] || { (read -r -t 1 _ </dev/null) 2>/dev/null; timed=$?; }
    [ "$timed" -le 1 ]
}

# hear CENTISECONDS FIFO: wait for a line on fd 4, its end-of-file, or the time-out. A timer that it
# needed goes on, for the next call with the same end, until it is hushed.
timer=
hear() {
    secs=$(($1 / 100)) frac=$(($1 % 100))
    case $frac in ?) frac=0$frac ;; esac
    # bash before 4 takes whole seconds only
    case ${BASH_VERSION-} in [123].*) secs=$((secs + 1)) ;; *) secs=$secs.$frac ;; esac
    heard=
    if timed_read; then
        # shellcheck disable=SC3045 # only where timed_read has just seen that it works
        read -r -t "$secs" heard <&4
        return 0
    fi
    # Redirected within: yash forks twice for a group with redirections, and $! is the outer one.
    [ -n "$timer" ] || {
        {
            exec 4<&- </dev/null >/dev/null 2>&1
            # By $!, which is there as soon as the sleep is; "nap=$!" might come too late. KILL, since
            # a child that has just been forked may still have our trap, and lose a TERM in it.
            before=${!-}
            trap "[ \"\${!-}\" = \"\$before\" ] || kill -KILL \"\$!\"; exit 0" TERM
            case $secs in *.00) secs=${secs%.*} ;; *) sleep 0.01 || secs=$((${secs%.*} + 1)) ;; esac
            sleep "$secs" &
            wait "$!"
            echo timer 1<>"$2"
        } &
        timer=$!
    }
    read -r heard <&4
    [ "$heard" != timer ] || timer=
}

# hush: end the timer.
hush() {
    [ -n "$timer" ] || return 0
    kill "$timer" 2>/dev/null
    wait "$timer" 2>/dev/null
    timer=
}

# guard_shell: set $gsh to a shell that can bound a read, or to our own.
guard_shell() {
    gsh=$sh
    timed_read || gsh=$(command -v bash) || gsh=$sh
}

# ring WORD: wake every waiter of the run; from a job's directory.
ring() {
    for bell in ../bell.*; do
        [ -p "$bell" ] && echo "$1" 1<>"$bell"
    done
    return 0
}

# --- processes ------------------------------------------------------------------------------------

# $setsid starts a command as the leader of a session of its own, where there is a setsid.
setsid=
if command -v setsid >/dev/null 2>&1; then setsid=setsid; fi

# live: set $live to the words run:ID, guard:ID and start:ID of the processes that there are.
live() {
    if [ -r /proc/self/cmdline ]; then
        live=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\000" "\n" |
            LC_ALL=C sed -n "/^[a-z]*:$run-/p")
    else
        live=$(ps -A -o args= | tr " " "\n" | LC_ALL=C sed -n "/^[a-z]*:$run-/p")
    fi
    live="
$live
"
}

# is_live WORD
is_live() {
    case $live in *"
$1
"*) return 0 ;; esac
    return 1
}

# tree COOKIE: set $tree to the processes whose environment holds it, and $leader to the check's.
# Without /proc: the descendants of the check.
tree() {
    tree=
    if [ -r /proc/self/environ ]; then
        # shellcheck disable=SC2013 # names of /proc have no spaces
        for entry in $(grep -ls "PYTEST_BGCHECK_JOB=$1" /proc/[0-9]*/environ); do
            entry=${entry%/environ}
            tree="$tree ${entry#/proc/}"
        done
    elif [ "${leader:-0}" -gt 0 ]; then
        grown=$leader
        while [ "$grown" != "$tree" ]; do
            tree=$grown
            grown=$(ps -A -o pid= -o ppid= | while read -r pid parent; do
                case " $tree " in *" $pid "* | *" $parent "*) printf "%s " "$pid" ;; esac
            done)
        done
    fi
}

# job_facts: set $leader and $attempt from the name of the file pid.LEADER.ATTEMPT.
job_facts() {
    set -- pid.*
    leader=${1#pid.} attempt=${1##*.}
    leader=${leader%%.*}
    case $leader in *[!0-9]*) leader=0 attempt=0 ;; esac
}

# signal NAME: to the check's process group, and to whatever left it but still has the cookie.
signal() {
    job_facts
    tree "$id"
    if [ "$leader" -gt 1 ]; then
        kill "-$1" "-$leader" 2>/dev/null || kill "-$1" "$leader" 2>/dev/null
    fi
    for pid in $tree; do kill "-$1" "$pid" 2>/dev/null; done
}

# --- the processes of a job; each runs in the job's directory ---------------------------------------

# supervise TIMEOUT GRACE RETRY RCS HOME GUARD_SHELL
supervise() {
    retry=$3 rcs=$4 home=$5 gsh=$6
    exec 9<>alive
    now
    start=$now
    mv state.new "state.run.$start.$1.$2" || exit 1
    (exec $setsid "$gsh" ../supervisor.sh guard "$sh" "$id" "guard:$id" 8>&8 9<&-) &
    exec 8>&-
    attempt=1
    while :; do
        (exec $setsid "$sh" ../supervisor.sh launch "$sh" "$id" "$attempt" "$home" 9<&-)
        rc=$?
        # killed by signal n: 256 + n in ksh93, 384 + n in yash, 128 + n elsewhere
        [ "$rc" -gt 384 ] && rc=$((rc - 128))
        [ "$rc" -gt 256 ] && rc=$((rc - 128))
        if [ -e refused.cwd ]; then
            mv state.run.* state.refused.cwd && ring "$id"
            exit 0
        fi
        case ",$rcs," in *",$rc,"*) break ;; esac
        [ -n "$retry" ] || break
        mv pid.* "pid.0.$attempt"
        set -- state.run.*
        [ -e "$1" ] || exit 0
        # By env: where sleep is a builtin (ksh) this would be our own process, not to be ended.
        env PYTEST_BGCHECK_JOB="$id" sleep "$retry" 9<&-
        set -- state.run.*
        [ -e "$1" ] || exit 0
        attempt=$((attempt + 1))
    done
    since "$start"
    # First of all: somebody waits. The guard may have claimed the job in this instant: then its
    # verdict stands, and what it will kill must not be a process that has our check's number now.
    if mv state.run.* "state.exit.$rc.$took.$attempt"; then
        ring "$id"
    else
        mv pid.* "pid.0.$attempt"
    fi
    exit 0
}

# launch ATTEMPT HOME: become the check. The leader of the session that will be killed is this.
launch() {
    mv pid.* "pid.$$.$1"
    if [ "$1" -gt 1 ]; then rm -f out err; fi
    PYTEST_BGCHECK_JOB=$id job=$PWD
    export PYTEST_BGCHECK_JOB
    exec >>out 2>>err
    # sudo starts us in directories that its user cannot enter again.
    cd -- "$2" 2>/dev/null || cd /
}

# enter DIRECTORY: where the check runs; for the specification.
enter() {
    cd -- "$1" || { mv "$job"/pid.* "$job/refused.cwd"; exit 125; }
}

# guard: see the top of this file. It can be started again at any time, and goes on.
guard() {
    # Opened both ways for a moment, so that it never waits for a writer; then EOF means: no writer.
    # shellcheck disable=SC2094
    exec 3<>alive 4<alive 3>&-
    echo "$id" >&8
    exec 8>&-
    while :; do
        set -- state.*
        case $1 in
        state.run.*) limits "$1" ;;
        state.end.*) ending "$1"; exit 0 ;;
        state.\*)
            # The directory was removed under us. Nothing can be published, but nothing stays either.
            signal KILL
            exit 0 ;;
        *) exit 0 ;;
        esac
        if [ "$left" -le 0 ]; then
            mv "$1" "state.end.timeout.$start.$grace"
            continue
        fi
        hear "$left" alive
        hush
        set -- state.*
        case $1 in state.run.*) limits "$1" ;; *) continue ;; esac
        [ "$left" -gt 0 ] || continue
        # Woken early: the supervisor is gone, or this was a false alarm (a signal, say).
        live
        if is_live "run:$id"; then sleep 1; else mv "$1" "state.end.lost.$start.$grace"; fi
    done
}

# limits STATE: set $start, $grace and $left from state.run.START.TIMEOUT.GRACE.
limits() {
    start=${1#state.run.}
    grace=${start##*.}
    start=${start%.*}
    left=${start#*.}
    start=${start%%.*}
    since "$start"
    left=$((left - took))
}

# ending STATE: TERM, up to the grace period, then KILL in any case (the leader may be gone while
# its children live); then publish. A lost job gets no grace: nobody would take its exit code.
ending() {
    kind=${1#state.end.}
    grace=${kind##*.}
    kind=${kind%.*}
    start=${kind#*.}
    kind=${kind%%.*}
    since "$start"
    ended=$took
    [ "$kind" = lost ] || { signal TERM; await_supervisor "$grace"; }
    round=0
    while signal KILL; [ -n "$tree" ] && [ "$round" -lt 20 ]; do
        round=$((round + 1))
        nap
    done
    # shellcheck disable=SC2086 # counted as words
    set -- $tree
    mv state.end.* "state.$kind.$ended.$attempt.$#" && ring "$id"
}

# await_supervisor CENTISECONDS: until the supervisor has gone (the check has ended), or the time-out.
await_supervisor() {
    now
    begun=$now
    while live; is_live "run:$id"; do
        since "$begun"
        [ "$took" -lt "$1" ] || break
        hear $(($1 - took)) alive
        hush
        [ -n "$heard" ] || nap
    done
}

nap() { sleep 0.05 2>/dev/null || sleep 1; }

# --- replies ------------------------------------------------------------------------------------------

# A reply is a frame of lines between "NONCE begin ENCODING" and "NONCE end RECORDS". Whatever a
# login shell prints stands outside it, and whatever a check printed is encoded.

reply() {
    enc=hex encoder="od -An -v -tx1"
    if command -v base64 >/dev/null 2>&1; then enc=base64 encoder=base64; fi
    records=0
    printf "\n%s begin %s\n" "$nonce" "$enc"
}

record() {
    records=$((records + 1))
    printf "%s\n" "$*"
}

end_frame() { printf "%s end %s\n" "$nonce" "$records"; }

finish() {
    end_frame
    exit 0
}

encode() {
    $encoder
    echo .
}

# refuse ID REASON: ID "*" is the whole request.
refuse() {
    record "refused $1 $(printf "%s" "$2" | LC_ALL=C tr -c " -~" " ")"
}

# blob NAME FILE LIMIT: a file whole, or its head and its tail; counted first, since it may grow.
blob() {
    size=0
    [ -s "$2" ] && size=$(wc -c <"$2")
    size=$((size))
    if [ "$size" -le "$3" ]; then
        record "$1" "$size" "$size" 0
        [ "$size" -eq 0 ] || head -c "$size" "$2" | $encoder
        echo .
    else
        head=$(($3 / 2)) tail=$(($3 - $3 / 2))
        record "$1" "$size" "$head" "$tail"
        { head -c "$head" "$2"; tail -c "+$((size - tail + 1))" "$2" | head -c "$tail"; } | encode
    fi
    spent=$((spent + (size < $3 ? size : $3)))
}

# report ID LIMIT: a job's state and its output.
report() {
    set -- "$1" "$2" "$1"/state.*
    took=-
    case $3 in
    */state.run.*)
        took=${3#*/state.run.}
        since "${took%%.*}" ;;
    */state.\*) set -- "$1" "$2" gone ;;
    esac
    record job "$1" "${3##*/}" "$took"
    [ "$3" != gone ] || return 0
    blob out "$1/out" "$2"
    blob err "$1/err" "$2"
}

# --- requests -------------------------------------------------------------------------------------------

# enter_root BASE: make or enter the user's directory; refuse what is not safely ours.
enter_root() {
    base=${1:-${TMPDIR:-/tmp}}
    uid=$(id -u)
    root=$base/pytest-bgcheck-$uid
    why=$(mkdir -m 700 "$root" 2>&1)
    # shellcheck disable=SC2012,SC2046 # the mode and the owner are in front of any name
    set -- $(ls -ldn "$root" 2>/dev/null)
    case ${1-} in
    "") why=${why:-"cannot make $root"} ;;
    l*) why="$root is a link" ;;
    d???------*) [ "$3" = "$uid" ] && cd "$root" && return 0
        why="$root belongs to the user $3, not to $uid" ;;
    d*) why="$root is open to others ($1): it must have the mode 0700" ;;
    *) why="$root is not a directory" ;;
    esac
    return 1
}

# start NONCE BASE RUN ITEM...: make the run's directory and start jobs. An item is
#   file NAME OFFSET DATA
#   job start:ID SPEC TIMEOUT GRACE RETRY RCS
# A job that is there already is left alone, so that a request can be repeated.
start() {
    nonce=$1 run=$3 home=$PWD
    umask 077
    reply
    enter_root "$2" || { refuse "*" "$why"; finish; }
    shift 3
    why=$(mkdir "$run" 2>&1)
    cd "$run" || { refuse "*" "$why"; finish; }
    if [ ! -f supervisor.sh ]; then
        why=$({ printf "%s\n" "${source-}" >"new.$nonce"; } 2>&1)
        if ! whole "new.$nonce"; then
            rm -f "new.$nonce"
            refuse "*" "cannot write to $root/$run: ${why:-no space left on device?}"
            finish
        fi
        mv "new.$nonce" supervisor.sh
    fi
    record dir
    printf "%s" "$PWD" | encode
    guard_shell
    started=
    why=$(mkfifo "up.$nonce" 2>&1) || { refuse "*" "$why"; finish; }
    # Closed with the group; "exec 8>&-" leaves a copy open in mksh.
    # shellcheck disable=SC2094
    {
        exec 7<"up.$nonce"
        while [ $# -gt 0 ]; do
            case $1 in
            file)
                put "$2" "$3" "$4"
                shift 4 ;;
            job)
                start_job "${2#start:}" "$3" "$4" "$5" "$6" "$7"
                shift 7 ;;
            esac
        done
    } 8<>"up.$nonce"
    # Each guard says its job's id; end-of-file when the last one has, or has died.
    up=" "
    while read -r id <&7; do up="$up$id "; done
    rm -f "up.$nonce"
    for id in $started; do
        case $up in
        *" $id "*) record started "$id" ;;
        *)
            (cd "$id" && signal KILL)
            rm -rf "./$id"
            refuse "$id" "its supervisor did not come up" ;;
        esac
    done
    finish
}

# whole FILE: is its last line there?
whole() {
    last="" line=""
    while IFS= read -r line; do last=$line; done <"$1"
    [ "$last$line" = "# end" ]
}

# put NAME OFFSET DATA: write a part of a file; a part that is there already is left alone.
put() {
    size=0
    [ -f "$1" ] && size=$(wc -c <"$1")
    [ $((size)) -gt "$2" ] || printf %b "$3" >>"$1"
    chmod 700 "$1"
}

# start_job ID SPEC TIMEOUT GRACE RETRY RCS
start_job() {
    if ! why=$(mkdir "$1" 2>&1); then
        [ -d "$1" ] || { refuse "$1" "$why"; return; }
        claimed_alive "$1" && { record attached "$1"; return; }
        # Whoever made it died before the check ran. Renaming it away lets one contender go on.
        mv "$1" "dead.$nonce.$1"
        why=$(mkdir "$1" 2>&1) || { record attached "$1"; return; }
    fi
    why=$({
        printf "" >"$1/out" && printf "" >"$1/err" && printf "" >"$1/pid.0.0" &&
            printf %b "$2" >"$1/spec" && mkfifo "$1/alive" && printf "" >"$1/state.new"
    } 2>&1)
    # On a full disk some shells report no error: the last line tells.
    if [ ! -f "$1/state.new" ] || ! whole "$1/spec"; then
        rm -rf "./$1"
        refuse "$1" "cannot write to $PWD: ${why:-no space left on device?}"
        return
    fi
    started="$started $1"
    set -- "$sh" ./supervisor.sh run "$sh" "$1" "run:$1" "$3" "$4" "$5" "$6" "$home" "$gsh"
    # The first setsid makes the second a session leader, which therefore forks, and returns at
    # once: a daemon without "&", which would leave SIGINT and SIGQUIT ignored in the check.
    if [ -n "$setsid" ]; then
        (exec setsid setsid "$@" </dev/null >/dev/null 2>&1 8>&8 7<&-)
    else
        (trap "" HUP; exec "$@" </dev/null >/dev/null 2>&1 8>&8 7<&-) &
    fi
}

# claimed_alive ID: does the job that is there run, or has it run? A launcher may be between its
# mkdir and its supervisor's first breath: that takes milliseconds, and is given seconds.
claimed_alive() {
    for _ in 1 2 3; do
        set -- "$1" "$1"/state.*
        case $2 in */state.new | */state.\*) ;; *) return 0 ;; esac
        live
        is_live "run:$1" && return 0
        sleep 1
    done
    return 1
}

# await NONCE RUN SECONDS BUDGET STREAM ID=LIMIT...: report the jobs that have ended, as soon as
# there is one, or nothing when SECONDS are over. A frame has outputs of BUDGET bytes and then no
# further job. With STREAM 1 frames NONCE.1, NONCE.2, ... follow each other until all have ended or
# the time is over, and an empty one is the last.
await() {
    call=$1 run=$2 expire=$3 budget=$4 stream=$5
    shift 5
    nonce=$call frames=0 waiting=$#
    bell=bell.$call
    now
    begun=$now
    if mkfifo "$bell"; then
        exec 4<>"$bell"
        live
        ended=
        for word in "$@"; do
            key_of "${word%%=*}"
            if has_ended "${word%%=*}"; then
                ended="$ended $word"
                eval "waits_$key="
            else
                eval "waits_$key=\$word"
            fi
        done
        live=
        while :; do
            while [ -n "$ended" ]; do
                [ "$stream" = 1 ] || break 2
                report_ended
            done
            [ "$waiting" -gt 0 ] || break
            since "$begun"
            [ "$took" -lt $((expire * 100)) ] || break
            hear $((expire * 100 - took)) "$bell"
            [ -p "$bell" ] || break
            case $heard in "" | timer) continue ;; esac
            key_of "$heard"
            case $key in *[!0-9A-Za-z_]*) break ;; esac
            # Unset is "closed", or a job that was started since: then let the caller ask anew.
            # Empty is one that has been reported already.
            eval "word=\${waits_$key-unknown} waits_$key="
            case $word in
            "") ;;
            unknown) break ;;
            *) if has_ended "$heard"; then ended=" $word"; else eval "waits_$key=\$word"; fi ;;
            esac
        done
        hush
        rm -f "$bell"
    fi
    [ "$stream" = 0 ] || ended=
    report_ended
    exit 0
}

# key_of ID: set $key to what may end the name of a variable. There is a variable for each job that
# is waited for, since a list would have to be searched at each end.
key_of() {
    key=${1#*-}
    key=${key%%-*}_${key##*-}
}

# report_ended: a frame with jobs of $ended, which keeps those for which there is no room in it.
report_ended() {
    frames=$((frames + 1))
    [ "$stream" = 0 ] || nonce=$call.$frames
    reply
    spent=0 over=""
    for word in $ended; do
        if [ "$spent" -lt "$budget" ]; then
            report "${word%%=*}" "${word##*=}"
            waiting=$((waiting - 1))
        else
            over="$over $word"
        fi
    done
    ended=$over
    end_frame
}

# has_ended ID. A job whose guard is gone gets a new one, which finds out what became of it.
has_ended() {
    set -- "$1" "$1"/state.*
    case $2 in
    */state.run.* | */state.end.*)
        [ -z "$live" ] || is_live "guard:$1" || regard "$1"
        return 1 ;;
    */state.new)
        if [ -n "$live" ] && ! is_live "run:$1" && ! is_live "guard:$1"; then
            sleep 1
            live
            is_live "run:$1" || mv "$1/state.new" "$1/state.end.lost.0.0" && regard "$1"
        fi
        return 1 ;;
    esac
    return 0
}

# regard ID: start its guard again.
regard() {
    guard_shell
    (cd "$1" && exec $setsid "$gsh" ../supervisor.sh guard "$sh" "$1" "guard:$1" \
        8>/dev/null 4<&- </dev/null >/dev/null 2>&1) &
}

# cancel NONCE RUN ID...: the guards do it.
cancel() {
    nonce=$1 run=$2
    shift 2
    for id in "$@"; do end_job "$id" 1000000; done
    reply
    finish
}

# end_job ID GRACE: claim it, with at most this grace, and wake its guard.
end_job() {
    set -- "$1" "$2" "$1"/state.run.*
    [ -e "$3" ] || return 0
    limits "${3##*/}"
    [ "$grace" -lt "$2" ] || grace=$2
    mv "$3" "$1/state.end.cancel.$start.$grace" && echo cancel 1<>"$1/alive"
    return 0
}

# tail NONCE RUN ID=LIMIT...: report jobs as they stand.
tails() {
    nonce=$1 run=$2
    shift 2
    reply
    spent=0
    for word in "$@"; do report "${word%%=*}" "${word##*=}"; done
    finish
}

# clean NONCE RUN KEEP: end what runs, end the waiters, and remove the run's directory.
clean() {
    nonce=$1 run=$2 keep=$3
    for word in "$run"-*/state.run.*; do
        word=${word%%/*}
        [ -d "$word" ] && end_job "$word" 500
    done
    for word in bell.*; do
        [ -p "$word" ] && echo closed 1<>"$word"
    done
    leader=0
    round=0
    while live; [ "$live" != "$newline$newline" ] && [ "$round" -lt 140 ]; do
        round=$((round + 1))
        nap
    done
    # What a check has left running carries the run's cookie.
    round=0
    while tree "$run-"; [ -n "$tree" ] && [ "$round" -lt 20 ]; do
        for pid in $tree; do kill -KILL "$pid" 2>/dev/null; done
        round=$((round + 1))
        nap
    done
    reply
    # shellcheck disable=SC2086 # counted as words
    set -- $tree
    record left "$#"
    if [ "$keep" = 0 ]; then
        cd .. || exit 1
        # Again, if a request of the same run that was under way has just made a file there.
        round=0
        while rm -rf "./$run" 2>/dev/null; [ -d "$run" ] && [ "$round" -lt 20 ]; do
            round=$((round + 1))
            nap
        done
        [ ! -d "$run" ] || refuse "*" "cannot remove $PWD/$run"
        root=$PWD
        cd / && rmdir "$root" 2>/dev/null
    fi
    finish
}

# --- what to do -------------------------------------------------------------------------------------------

newline="
"
verb=$1 sh=$2
shift 2
case $verb in
start) start "$@" ;;
await) await "$@" ;;
cancel) cancel "$@" ;;
tail) tails "$@" ;;
clean) clean "$@" ;;
run | guard | launch)
    id=$1
    run=${id%%-*}
    shift
    case $verb in
    run) cd "$id" && shift && supervise "$@" ;;
    guard) guard ;;
    launch)
        launch "$@"
        # Here, not in a function: the specification sets the positional parameters and execs them.
        # shellcheck source=/dev/null
        . "$job/spec" ;;
    esac ;;
esac
# end
