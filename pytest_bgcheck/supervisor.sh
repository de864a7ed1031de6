#!/bin/sh
# What pytest-bgcheck runs on a target: POSIX sh and the basic utilities, nothing else.
#
# A run is a directory, a job is a directory in it, and the directory is the truth. The name of a
# job's one `state.*` file is its state; a state changes only by rename, which is atomic, works on a
# full disk, and lets exactly one of several contenders win:
#
#   state.run.START.TIMEOUT.GRACE.SUPERVISOR.GUARD   the check runs (centiseconds, process ids)
#   state.end.KIND.START.GRACE.SUPERVISOR.GUARD      somebody ends it; KIND: timeout, cancel or lost
#   state.exit.RC.TOOK.ATTEMPTS[.full]               final: the command ended by itself; full: there
#                                                    was no space left for its output
#   state.KIND.TOOK.ATTEMPTS.LEFT.NOTE[.RC]          final: timeout, cancel or lost; LEFT processes
#                                                    could not be killed; NOTE: see ending; RC: of
#                                                    the last whole attempt
#   state.refused.WHY                                final: it could not be run
#
# A caller prepares a job in a directory of its own, `new.CALL.ID`, and the job's supervisor, which
# has its guard already and is in the state `run`, claims it by one rename of that directory to `ID`.
# So any number of callers, at any speed, stopped or killed at any place, start a job exactly once,
# and whoever loses attaches. (`mv` moves the directory of one who comes too late into the other:
# it then finds that it is not where it wanted to be.)
#
# Each job has two processes beside the check's own:
#
#   run    the supervisor. It runs the check in the foreground, so that the exit code is exact and
#          SIGINT is not ignored in the check, holds the write end of the FIFO `alive`, and publishes.
#   guard  enforces the limits. It is blocked reading `alive`: end-of-file is the kernel's word that
#          the supervisor is gone, however it went. Each second the read times out, and the guard
#          looks whether the job's directory is still there and can be written, without a fork.
#
# If both are killed at once, the waiter knows: it looks each second whether they are there, also
# without a fork. So whatever is removed or killed, somebody knows it within about two seconds.
#
# Descriptors go to a child by a redirection of its own, in a subshell that becomes the child: ksh
# and mksh pass on no others, and mksh and yash keep a copy of what they redirect in their own shell.
#
# A shell whose `read` has no -t (dash, yash) lends guard and waiter to bash where there is one, and
# else to two more processes, a subshell with its sleep. CHLD traps would save these, but bash in POSIX
# mode forgets the exit code it was waiting for, and a wrong verdict is worse than a process.
#
# Whoever waits for jobs makes a FIFO `bell.GROUP.*` in the run's directory; each end rings the bells
# of its group, which is its host (the end of its id): two names of one computer share a directory.
# A bell is opened read-write (1<>), which never blocks, so that a dead waiter's bell harms nobody.
#
# A process is known by its id and the time of its birth: after a restart, of a container above all,
# an id in a file is soon another's. Nobody is killed who is not proven to be the check's.
#
# Values come in as arguments or files, never as program text. The code has no single quotes: each
# would cost five bytes at every level of quoting on its way here. Comments are not sent.
#
# A shell reads this file as far as it runs it. What a job's processes are to be comes first, each
# behind what it needs: half a millisecond in dash, two in bash, for each process of each job.

set -u
# With it, "cd name" could lead elsewhere.
unset CDPATH

verb=$1 sh=$2
shift 2
# For the processes of a job. A request sets $run itself.
id=$1 run=${1%%-*} leader=none leader_born=0 attempt=0 last="" proven=none known=
newline="
"

# $setsid starts a command as the leader of a session of its own, where there is a setsid.
setsid=
if command -v setsid >/dev/null 2>&1; then setsid=setsid; fi

# --- the check: becomes it, in the job's directory ------------------------------------------------

# born PID: set $born to when it was born, in ticks, 0 if unknown; and $stat to its state's letter.
born() {
    stat="" born=0
    if read -r stat 2>/dev/null <"/proc/$1/stat"; then
        # shellcheck disable=SC2086 # behind the name, which may hold anything, come words
        set -- ${stat##*\) }
        stat=$1 born=${20}
    fi
}

# launch ID ATTEMPT HOME UMASK LAST: become the check. The leader of the session that will be killed
# is this. LAST is the exit code of the attempt before.
launch() {
    PYTEST_BGCHECK_JOB=$id job=$PWD
    export PYTEST_BGCHECK_JOB
    born $$
    if [ "$2" -gt 1 ]; then
        mv pid.* "pid.$$.$2.$born$5"
        rm -f out err
    else
        { printf "" >"pid.$$.1.$born"; } 2>/dev/null || refuse_run output
    fi
    # Whoever ends the job changes its state and then looks for this file; we look the other way round.
    for word in state.*; do
        case $word in state.run.* | state.\*) ;; *) exit 125 ;; esac
    done
    # An exec that cannot redirect ends a shell, with a code that would be taken for the check's.
    if ! { true >>out && true >>err; } 2>/dev/null; then refuse_run output; fi
    exec >>out 2>>err
    # sudo starts us in directories that its user cannot enter again.
    cd -- "$3" 2>/dev/null || cd /
    umask "$4"
}

# enter DIRECTORY: where the check runs; for the specification.
enter() { cd -- "$1" || refuse_run cwd; }

# refuse_run WHY: from what was to become the check. There may be no space for another file.
refuse_run() {
    mv "$job/spec" "$job/refused.$1"
    exit 125
}

if [ "$verb" = launch ]; then
    launch "$@"
    # Here, not in a function: the specification sets the positional parameters and execs them.
    # shellcheck source=/dev/null
    . "$job/spec"
    exit 125
fi

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

# --- the supervisor: runs the check, in the job's directory ---------------------------------------

# ring ID: wake every waiter for its group; from a job's directory.
ring() {
    for bell in ../bell."${1#"${1%????}"}".*; do
        [ -p "$bell" ] && echo "$1" 1<>"$bell"
    done
    return 0
}

# supervise ID NAME NEW TIMEOUT GRACE RETRY RCS HOME GUARD_SHELL UMASK
supervise() {
    new=$3 most=$4 retry=$6 rcs=$7 home=$8 gsh=$9 mask=${10}
    cd "$new" || exit 1
    exec 9<>alive
    now
    start=$now
    (exec $setsid "$gsh" ../supervisor.sh guard "$sh" "$id" "guard:$id" "$$" 8>&8 9<&-) &
    state=state.run.$start.$most.$5.$$.$!
    if ! { printf "" >"$state" && mv "../$new" "../$id" && claimed; } 2>/dev/null; then
        # Its guard sees us go. "cd .." would not do: some shells remember where they were.
        rm -rf "../$new"
        exit 0
    fi
    exec 8>&-
    echo go >&9
    attempt=1
    while :; do
        (exec $setsid "$sh" ../supervisor.sh launch "$sh" "$id" "$attempt" "$home" "$mask" "$last" \
            9<&-)
        rc=$?
        # killed by signal n: 256 + n in ksh93, 384 + n in yash, 128 + n elsewhere
        [ "$rc" -gt 384 ] && rc=$((rc - 128))
        [ "$rc" -gt 256 ] && rc=$((rc - 128))
        set -- refused.*
        [ ! -e "$1" ] || publish "state.$1"
        case ",$rcs," in *",$rc,"*) break ;; esac
        [ -n "$retry" ] || break
        # Else it was ended, and this is no exit code of its own.
        set -- state.run.*
        [ -e "$1" ] || exit 0
        last=.$rc
        mv pid.* "pid.0.$attempt.0$last"
        # By env: where sleep is a builtin (ksh) this would be our own process, not to be ended.
        env PYTEST_BGCHECK_JOB="$id" sleep "$retry" 9<&-
        set -- state.run.*
        [ -e "$1" ] || exit 0
        attempt=$((attempt + 1))
    done
    since "$start"
    # The clock on the wall may have been set.
    [ -r /proc/uptime ] || [ "$took" -le "$most" ] || took=$most
    # Nobody tells of output that could not be written, but a byte more cannot be written either.
    full=
    set -- pid.*
    if [ -e "$1" ]; then
        echo 2>/dev/null >"$1"
        [ -s "$1" ] || full=.full
    fi
    publish "state.exit.$rc.$took.$attempt$full"
}

# publish STATE: as the end of a job that runs, without delay: somebody waits. Whoever may have
# claimed it in this instant, the guard, has the verdict; but a new guard only writes its own number
# into the name.
publish() {
    while set -- "$1" state.run.*; [ -e "$2" ]; do
        if mv "$2" "$1" 2>/dev/null; then ring "$id"; else [ ! -e "$2" ] || break; fi
    done
    exit 0
}

# claimed: is this directory the job's?
claimed() {
    # shellcheck disable=SC3013 # every shell has it
    [ . -ef "../$id" ]
}

if [ "$verb" = run ]; then supervise "$@"; fi

# --- waiting --------------------------------------------------------------------------------------

# timed_read: can this shell bound a read?
timed_read() {
    # shellcheck disable=SC3045 # this asks whether it is there
    [ -n "${timed-}" ] || { (read -r -t 1 _ </dev/null) 2>/dev/null; timed=$?; }
    [ "$timed" -le 1 ]
}

# hear CENTISECONDS FIFO: wait for a line on fd 4, its end-of-file, or the time-out; set $quiet where
# the shell can tell that it was the latter.
hear() {
    secs=$(($1 / 100)) frac=$(($1 % 100))
    case $frac in ?) frac=0$frac ;; esac
    # bash before 4 takes whole seconds only
    case ${BASH_VERSION-} in [123].*) secs=$((secs + 1)) ;; *) secs=$secs.$frac ;; esac
    heard="" quiet=""
    if timed_read; then
        # shellcheck disable=SC3045 # only where timed_read has just seen that it works
        read -r -t "$secs" heard <&4
        case $?${BASH_VERSION+bash} in 1[3-9]?bash) quiet=yes ;; esac
    else
        # Redirected within: yash forks twice for a group with redirections, and $! is the outer one.
        {
            exec 4<&- </dev/null >/dev/null 2>&1
            # By $!, which is there as soon as the sleep is; "nap=$!" might come too late. KILL, since
            # a child that has just been forked may still have our trap, and lose a TERM in it.
            before=${!-}
            trap "[ \"\${!-}\" = \"\$before\" ] || kill -KILL \"\$!\"; exit 0" TERM
            case $secs in *.00) secs=${secs%.*} ;; *) sleep 0.01 || secs=$((${secs%.*} + 1)) ;; esac
            sleep "$secs" &
            wait "$!"
            if [ -p "$2" ]; then echo timer 1<>"$2"; else bereft; fi
        } &
        timer=$!
        read -r heard <&4
        # Not waited for: that would be a millisecond before each result.
        kill "$timer" 2>/dev/null
    fi
    return 0
}

# bereft: from the timer of a shell that cannot bound a read, when its FIFO was removed: nobody could
# wake that read any more.
bereft() {
    if [ -n "${guards-}" ]; then kill_all; fi
    kill -KILL $$
}

# guard_shell: set $gsh to a shell that can bound a read, or to our own.
guard_shell() {
    gsh=$sh
    timed_read || gsh=$(command -v bash) || gsh=$sh
}

# rounds WAIT: set $round to how long to wait, of WAIT centiseconds, before looking around.
rounds() {
    round=100
    timed_read || round=200
    [ "$1" -ge "$round" ] || round=$1
}

# writable JOB: can its state be changed? A file system that has become read-only lets root pass -w in
# some shells. Nothing may be made where somebody is about to remove it all.
writable() { [ -w "$1" ] && { [ ! -f "$1/spec" ] || true 2>/dev/null >>"$1/spec"; }; }

# --- processes ------------------------------------------------------------------------------------

# live: set $live to the words run:ID, guard:ID and start:ID of the processes that there are.
live() {
    if [ -r /proc/self/cmdline ]; then
        live=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\000" "\n" |
            LC_ALL=C sed -n "/^[a-z]*:$run-/p")
    else
        live=$(ps -A -o args= 2>/dev/null) || live=
        [ -n "$live" ] || blind=yes
        live=$(printf "%s\n" "$live" | tr " " "\n" | LC_ALL=C sed -n "/^[a-z]*:$run-/p")
    fi
    live="
$live
"
}

# is_live WORD. Where no process can be seen at all (no /proc in a chroot), the ids in the state that
# was looked at last have to do; what is not known is taken for alive.
is_live() {
    case ${blind-}$1 in
    yesrun:*) exists "${sup:-0}" && return 0 ;;
    yesguard:*) exists "${gid:-0}" && return 0 ;;
    esac
    case $live in *"
$1
"*) return 0 ;; esac
    return 1
}

# exists PID: by builtins alone. A process that has ended and is not yet reaped does not.
exists() {
    [ -n "${sees-}" ] || { sees=no; [ ! -e "/proc/$$/exe" ] || sees=yes; }
    case $sees in
    yes) [ -e "/proc/$1/exe" ] ;;
    *) kill -0 "$1" 2>/dev/null ;;
    esac
}

# table: set $table to a word PID:PARENT:GROUP:SESSION:BORN for each living process.
table() {
    if [ -r /proc/self/stat ]; then
        table=$(LC_ALL=C sed -n "s/^\([0-9]*\) (.*) [^XZ] \([0-9]*\) \([0-9]*\) \([0-9]*\)\( [-0-9]*\)\{15\} \([0-9]*\) .*/\1:\2:\3:\4:\6/p" \
            /proc/[0-9]*/stat 2>/dev/null)
    else
        table=$(ps -A -o pid= -o ppid= -o pgid= 2>/dev/null | while read -r pid parent group; do
            echo "$pid:$parent:$group:$group:0"
        done)
    fi
}

# row WORD: set $pid, $parent, $group, $session and $born from a word of the table.
row() {
    IFS=:
    # shellcheck disable=SC2086 # split here
    set -- $1
    unset IFS
    pid=$1 parent=$2 group=$3 session=$4 born=$5
}

# cookies TEXT: set $marked to the processes whose environment holds it.
cookies() {
    marked=" "
    [ -r /proc/self/environ ] || return 0
    # shellcheck disable=SC2013 # names of /proc have no spaces
    for entry in $(grep -ls "PYTEST_BGCHECK_JOB=$1" /proc/[0-9]*/environ); do
        entry=${entry%/environ}
        marked="$marked${entry#/proc/} "
    done
}

# tree: set $tree to the processes of the check, from its job's directory: those that carry its
# cookie, those of its process's group or session, its descendants, and those that write to its
# output. $known remembers them: what has lost its parent meanwhile is still the check's.
tree() {
    cookies "$id"
    table
    tree=" "
    job_facts
    for word in $table; do
        case $word in
        "$leader":*":$leader_born") proven=$leader ;;
        *:"$leader":*)
            # A group or a session has no other with its number as long as it has a member.
            case $marked in *" ${word%%:*} "*) proven=$leader ;; esac ;;
        esac
    done
    for word in $table; do
        row "$word"
        case " $known " in *" $pid:$born "*) tree="$tree$pid " && continue ;; esac
        case $marked in *" $pid "*) tree="$tree$pid " && continue ;; esac
        case $proven in "$group" | "$session") tree="$tree$pid " && continue ;; esac
        # shellcheck disable=SC3013 # every shell has it
        if [ "/proc/$pid/fd/1" -ef out ] || [ "/proc/$pid/fd/2" -ef err ]; then tree="$tree$pid "; fi
    done
    # Descendants of the check's own process, not of all: a service that it has restarted may have
    # begun everybody's sessions.
    kin=" $proven " grown=yes
    while [ -n "$grown" ]; do
        grown=
        for word in $table; do
            row "$word"
            case $kin in *" $pid "*) continue ;; *" $parent "*) kin="$kin$pid " grown=yes ;; *) continue ;; esac
            case $tree in *" $pid "*) ;; *) tree="$tree$pid " ;; esac
        done
    done
    known=
    for word in $table; do
        case $tree in *" ${word%%:*} "*) known="$known ${word%%:*}:${word##*:}" ;; esac
    done
    tree=${tree# }
}

# job_facts: set $leader, $leader_born, $attempt and $last from the name of the file
# pid.LEADER.ATTEMPT.BORN[.LAST]. It is there from the start of the first attempt on.
job_facts() {
    set -- pid.*
    [ -e "$1" ] || return 0
    IFS=.
    # shellcheck disable=SC2086 # split here
    set -- $1
    unset IFS
    attempt=$3 last=${5-}
    [ "$2" -gt 1 ] || return 0
    leader=$2 leader_born=$4
}

# signal NAME: to all of the check. With any but KILL, what was stopped goes on, to hear it.
signal() {
    tree
    for pid in $tree; do kill "-$1" "$pid" 2>/dev/null; done
    if [ -z "$table" ] && [ "$leader" != none ]; then
        # Nothing can be seen here.
        kill "-$1" "-$leader" 2>/dev/null || kill "-$1" "$leader" 2>/dev/null
    fi
    if [ "$1" != KILL ]; then
        for pid in $tree; do kill -CONT "$pid" 2>/dev/null; done
    fi
}

# kill_all: until nothing of the check is left, or it cannot be killed.
kill_all() {
    rounds=0
    while signal KILL; [ -n "$tree" ] && [ "$rounds" -lt 20 ]; do
        rounds=$((rounds + 1))
        nap
    done
}

# suspects: set $suspects to processes that may be the check's and were not proven to be: orphans of
# our user and our control group, younger than the check, with an environment that was emptied.
suspects() {
    suspects=
    [ "$leader_born" -gt 0 ] && read -r control 2>/dev/null </proc/self/cgroup || return 0
    table
    for word in $table; do
        row "$word"
        if [ "$parent" = 1 ] && [ "$born" -ge "$leader_born" ] && [ -O "/proc/$pid" ]; then
            read -r other 2>/dev/null <"/proc/$pid/cgroup" || continue
            [ "$other" != "$control" ] || suspects="$suspects $pid"
        fi
    done
    # shellcheck disable=SC2086 # words
    set -- $suspects
    suspects=
    for pid in "$@"; do
        of=/proc/$pid/environ
        grep -qs -e PYTEST_BGCHECK_JOB= -e PATH= -e HOME= "$of" && continue
        # A daemon that writes its title over its environment has not emptied it.
        grep -qs "" "$of" && ! LC_ALL=C grep -qs "^[A-Za-z_][A-Za-z_0-9]*=" "$of" && continue
        ! exists "$pid" || suspects="$suspects-$pid"
    done
}

# --- the guard: enforces the limits, in the job's directory ----------------------------------------

# guard ID NAME SUPERVISOR: see the top of this file. It can be started again at any time, and goes
# on; SUPERVISOR is empty then.
guard() {
    # Opened both ways for a moment, so that it never waits for a writer; then EOF means: no writer.
    # shellcheck disable=SC2094
    exec 3<>alive 4<alive 3>&-
    again="" waited=0
    [ -n "$3" ] || again=yes
    while [ -z "$again" ]; do
        # Until the job is claimed there is nothing to guard. Then comes "go", if all is well.
        hear 100 alive
        if [ "$heard" = go ] || claimed; then break; fi
        exists "$3" || exit 0
    done
    guards=yes
    while :; do
        set -- state.*
        case $1 in
        state.run.*) limits "$1" ;;
        state.end.*)
            up
            ending "$1"
            exit 0 ;;
        state.\*)
            # Removed; or we have looked at it just as it changed.
            [ -p alive ] || abandon
            nap
            continue ;;
        *) up; exit 0 ;;
        esac
        up
        job_facts
        writable . || abandon
        if [ -n "$again" ]; then
            again=""
            live
            if is_live "run:$id"; then
                turn "$1" "state.run.$start.$timeout.$grace.$sup.$$"
            else
                turn "$1" "state.end.lost.$start.$grace.$sup.$$"
            fi
            continue
        fi
        if [ "$left" -le 0 ]; then
            turn "$1" "state.end.timeout.$start.$grace.$sup.$$"
            continue
        fi
        rounds "$left"
        before=$left idle=0
        while
            hear "$round" alive
            waited=$((waited + round))
            # Ten times out of eleven, far from the limit, this look is enough: three system calls.
            [ -n "$quiet" ] && [ "$idle" -lt 10 ] && [ "$before" -gt 2000 ] && [ -e "$1" ] && [ -w . ]
        do
            idle=$((idle + 1)) before=$((before - round))
        done
        [ "$heard" != go ] || continue
        set -- state.*
        case $1 in state.run.*) limits "$1" ;; *) continue ;; esac
        [ "$left" -gt 0 ] || continue
        if [ -r /proc/uptime ]; then
            [ "$((before - left))" -lt "$((round - 5))" ] || continue
        else
            ! exists "$sup" || continue
        fi
        # Woken early: the supervisor is gone, or this was a false alarm (a signal, say).
        live
        if is_live "run:$id"; then sleep 1; else turn "$1" "state.end.lost.$start.$grace.$sup.$$"; fi
    done
}

# up: say once that the guard is there.
up() {
    [ -z "${told-}" ] || return 0
    told=yes
    echo "$id" >&8
    exec 8>&-
}

# turn OLD NEW: change the state. Somebody else may have; but if nobody can, nothing can be told here
# any more, and all there is to do is to leave nothing. Whoever waits sees that we are gone.
turn() {
    mv "$1" "$2" 2>/dev/null && return
    [ ! -e "$1" ] || abandon
}

abandon() {
    kill_all
    exit 0
}

# facts STATE: set what the name of a state.run.* or a state.end.* says.
facts() {
    IFS=.
    # shellcheck disable=SC2086 # split here
    set -- $1
    unset IFS
    case $2 in
    run) start=$3 timeout=$4 ;;
    end) kind=$3 start=$4 ;;
    esac
    grace=$5 sup=$6 gid=$7
}

# limits STATE: the same, and set $left to what is left of the time-out. A clock that can be set is
# not asked: without /proc, what the guard itself has waited counts.
limits() {
    facts "$1"
    if [ -r /proc/uptime ]; then since "$start"; else took=${waited:-0}; fi
    left=$((timeout - took))
}

# ending STATE: TERM, up to the grace period, then KILL in any case (the leader may be gone while
# its children live); then publish. A lost job gets no grace: nobody would take its exit code.
#
# The NOTE is x, or T if the check was found stopped, and the ids of the suspects, with hyphens.
ending() {
    facts "$1"
    if [ -r /proc/uptime ]; then since "$start"; else took=$waited; fi
    ended=$took
    job_facts
    born "$leader"
    case $stat in T) note=T ;; *) note=x ;; esac
    [ "$kind" = lost ] || { signal TERM; await_supervisor "$grace"; }
    kill_all
    # shellcheck disable=SC2086 # counted as words
    set -- $tree
    suspects
    for word in state.end.*; do
        turn "$word" "state.$kind.$ended.$attempt.$#.$note$suspects${last:+.$last}"
    done
    ring "$id"
}

# await_supervisor CENTISECONDS: until the supervisor has gone (the check has ended), or the time-out.
await_supervisor() {
    now
    begun=$now
    while exists "$sup"; do
        since "$begun"
        [ "$took" -lt "$1" ] || break
        rounds $(($1 - took))
        hear "$round" alive
        ! exists "$sup" || nap
    done
}

nap() { sleep 0.05 2>/dev/null || sleep 1; }

if [ "$verb" = guard ]; then guard "$@"; fi

# --- replies ------------------------------------------------------------------------------------------

# A reply is a frame of lines between "NONCE begin ENCODING" and "NONCE end RECORDS". Whatever a
# login shell prints stands outside it, and whatever a check printed is encoded, or has a "=" in front
# of each line.

reply() {
    enc=hex encoder="od -An -v -tx1"
    if command -v base64 >/dev/null 2>&1; then enc=base64 encoder=base64; fi
    records=0 pending="$newline$nonce begin $enc$newline"
}

record() {
    records=$((records + 1)) pending="$pending$*$newline"
}

# flush: write what is pending. Few writes are few packets on the line, and wake the other end once.
flush() {
    printf "%s" "$pending"
    pending=""
}

end_frame() {
    pending="$pending$nonce end $records$newline"
    flush
}

finish() {
    end_frame
    exit 0
}

# end_data: behind what an encoder has written, after a flush.
end_data() { pending="$pending.$newline"; }

# refuse ID REASON: ID "*" is the whole request.
refuse() {
    record "refused $1 $(printf "%s" "$2" | LC_ALL=C tr -c " -~" " ")"
}

# blob NAME FILE LIMIT: a file whole, or its head and its tail; counted first, since it may grow.
blob() {
    size=0 text=""
    if [ ! -s "$2" ]; then
        record "$1" 0 0 0
    elif plain "$2" && [ "${#text}" -le "$3" ]; then
        size=${#text}
        record "$1" "$size" "$size" 0
        while case $text in *"$newline"*) ;; *) false ;; esac; do
            pending="$pending=${text%%"$newline"*}$newline" text=${text#*"$newline"}
        done
        pending="$pending=$text$newline"
    else
        size=$(($(wc -c <"$2")))
        if [ "$size" -le "$3" ]; then
            record "$1" "$size" "$size" 0
            flush
            head -c "$size" "$2" | $encoder
        else
            head=$(($3 / 2)) tail=$(($3 - $3 / 2))
            record "$1" "$size" "$head" "$tail"
            flush
            { head -c "$head" "$2"; tail -c "+$((size - tail + 1))" "$2" | head -c "$tail"; } |
                $encoder
        fi
    fi
    end_data
    spent=$((spent + (size < $3 ? size : $3)))
}

# plain FILE: is it short and printable? Then set $text to it. By builtins alone, where the shell can:
# a program or three would be most of the time that a waiter takes.
plain() {
    [ -n "${BASH_VERSION-}" ] || return 1
    LC_ALL=C
    # shellcheck disable=SC3045 # bash. Not the end of the file: it is longer, or there is a NUL in it.
    if IFS= read -r -d "" -n 2000 text <"$1"; then return 1; fi
    case $text in "" | *[!\ -~"$newline"]*) return 1 ;; esac
}

# report ID LIMIT: a job's state and its output.
report() {
    set -- "$1" "$2" "$1"/state.*
    took=-
    case $3 in
    */state.run.* | */state.end.*)
        facts "${3#*/}"
        since "$start"
        # Told as ended, though nobody could write that down.
        case " ${ended-} " in *" $1="*) set -- "$1" "$2" "state.lost.$took.1.0.W" ;; esac ;;
    */state.\*) set -- "$1" "$2" gone ;;
    esac
    record job "$1" "${3##*/}" "$took"
    [ "$3" != gone ] || return 0
    blob out "$1/out" "$2"
    blob err "$1/err" "$2"
    [ "${#pending}" -lt 4000 ] || flush
}

# --- requests -------------------------------------------------------------------------------------------

# enter_root BASE: make or enter the user's directory; refuse what is not safely ours.
enter_root() {
    base=${1:-${TMPDIR:-/tmp}}
    uid=$(id -u)
    root=$base/pytest-bgcheck-$uid
    why=""
    [ -d "$root" ] || why=$(LC_ALL=C mkdir -m 700 "$root" 2>&1)
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
#   file NAME DATA
#   job start:ID SPEC SPEC_SIZE TIMEOUT GRACE RETRY RCS TERMS SCRIPT_SIZE
# An empty SPEC was sent before, in parts. A job that is there already is left alone, so that a request
# can be repeated, also while it is under way: its own files carry $own.
start() {
    nonce=$1 run=$3 home=${PWD-/} own=$1.$$ mask=$(umask)
    umask 077
    reply
    enter_root "$2" || { refuse "*" "$why"; finish; }
    shift 3
    why=$(LC_ALL=C mkdir "$run" 2>&1)
    cd "$run" || { refuse "*" "$why"; finish; }
    if [ ! -f supervisor.sh ]; then
        why=$({ printf "%s\n" "${source-}" >"new.$own"; } 2>&1)
        if ! sized "new.$own" "$((${#source} + 1))"; then
            reason "new.$own"
            rm -f "new.$own"
            refuse "*" "cannot write to $root/$run: ${why:-no space left on device?}"
            finish
        fi
        mv "new.$own" supervisor.sh
    fi
    record dir
    flush
    printf "%s" "$PWD" | $encoder
    end_data
    guard_shell
    made="" pipes=up.$own files="" started=""
    each list_job "$@"
    # All at once: a fork for each job would be felt. What is missing then is seen for each job.
    # shellcheck disable=SC2086 # words
    why=$(LC_ALL=C mkdir $made 2>&1; LC_ALL=C mkfifo $pipes 2>&1)
    [ -p "up.$own" ] || { refuse "*" "${why%%"$newline"*}"; finish; }
    each prepare_job "$@"
    # On a full disk some shells report no error: the sizes tell.
    # shellcheck disable=SC2046,SC2086 # words
    keep_sizes $(wc -c supervisor.sh $files 2>/dev/null)
    # Closed with the group; "exec 8>&-" leaves a copy open in mksh.
    # shellcheck disable=SC2094
    {
        exec 7<"up.$own"
        each run_job "$@"
    } 8<>"up.$own"
    # Each guard says its job's id; end-of-file when the last one has, or has died.
    up=" "
    while read -r id <&7; do up="$up$id "; done
    rm -f "up.$own"
    for word in $started; do
        id=${word%%=*}
        case $up in *" $id "*) record started "$id" && continue ;; esac
        if [ -d "$id" ]; then
            attach "$id" "${word##*=}"
        else
            refuse "$id" "its supervisor did not come up"
        fi
    done
    finish
}

# each STEP ITEM...: take one step with all items.
each() {
    step=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        file)
            [ "$step" != list_job ] || { printf %b "$3" >"put.$own" && mv "put.$own" "$2"; } 2>/dev/null
            shift 3 ;;
        job)
            new=new.$own.${2#start:}
            "$step" "${2#start:}" "$3" "$4" "$5" "$6" "$7" "$8" "$9" "${10}"
            shift 10 ;;
        esac
    done
}

# list_job, prepare_job, run_job: the steps. Each has the words of an item, the first without "start:".
list_job() {
    [ ! -d "$1" ] || return 0
    made="$made $new" pipes="$pipes $new/alive" files="$files $new/spec"
    [ "$9" = 0 ] || files="$files $new/script"
}

prepare_job() {
    [ -p "$new/alive" ] || return 0
    {
        printf "" >"$new/out"
        printf "" >"$new/err"
        printf "" >"$new/terms.$8"
        if [ -n "$2" ]; then printf %b "$2" >"$new/spec"; else cat "spec-$1.$8".* >"$new/spec"; fi
        [ "$9" = 0 ] || { cat "script-$1.$8".* >"$new/script" && chmod 700 "$new/script"; }
    } 2>/dev/null
}

run_job() {
    case " $made " in *" $new "*) ;; *) attach "$1" "$8"; return ;; esac
    if ! { [ -e "$new/out" ] && [ -e "$new/err" ] && [ -e "$new/terms.$8" ] &&
        has_size "$3" spec && has_size "$9" script; }; then
        why=${why%%"$newline"*}
        [ ! -p "$new/alive" ] || reason "$new/spec"
        rm -rf "./$new"
        refuse "$1" "cannot write to $PWD: ${why:-no space left on device?}"
        return
    fi
    started="$started $1=$8"
    set -- "$sh" ./supervisor.sh run "$sh" "$1" "run:$1" "$new" "$4" "$5" "$6" "$7" "$home" \
        "$gsh" "$mask"
    # The first setsid makes the second a session leader, which therefore forks, and returns at
    # once: a daemon without "&", which would leave SIGINT and SIGQUIT ignored in the check.
    if [ -n "$setsid" ]; then
        (exec setsid setsid "$@" </dev/null >/dev/null 2>&1 8>&8 7<&-)
    else
        (trap "" HUP; exec "$@" </dev/null >/dev/null 2>&1 8>&8 7<&-) &
    fi
}

# keep_sizes SIZE FILE...: what wc has said.
keep_sizes() { sizes=" $* "; }

# has_size SIZE FILE, one of the job's: as it was to be? 0 is for no file at all.
has_size() {
    [ "$1" != 0 ] || return 0
    case $sizes in *" $1 $new/$2 "*) return 0 ;; esac
    return 1
}

# reason FILE: have somebody tell in $why, better than our shell, why it cannot be written.
reason() {
    said=$({ echo | LC_ALL=C cat >>"$1"; } 2>&1)
    why=${said:-$why}
}

# sized FILE SIZE: is it that size?
sized() { [ "$(($(wc -c <"$1")))" = "$2" ]; }

# attach ID TERMS: to a job that there is. If it has just been removed, whoever waits for it sees that.
attach() {
    if [ -d "$1" ] && [ ! -e "$1/terms.$2" ]; then refuse "$1" terms; else record attached "$1"; fi
}

# await NONCE RUN SECONDS BUDGET STREAM ID=LIMIT...: report the jobs that have ended, as soon as
# there is one, or nothing when SECONDS are over. A frame has outputs of BUDGET bytes and then no
# further job. With STREAM 1 frames NONCE.1, NONCE.2, ... follow each other until all have ended or
# the time is over, and an empty one is the last.
await() {
    guard_shell
    # A shell that can bound a read looks around without a fork.
    [ "$gsh" = "$sh" ] || exec "$gsh" ./supervisor.sh await "$gsh" "$@"
    call=$1 run=$2 expire=$3 budget=$4 stream=$5
    shift 5
    nonce=$call frames=0 waiting=$# ended="" anew=""
    bell=${1-} bell=${bell%%=*}
    bell=bell.${bell#"${bell%????}"}.$call
    now
    begun=$now
    if mkfifo "$bell" 2>/dev/null; then exec 4<>"$bell"; else bell=; fi
    for word in "$@"; do
        key_of "${word%%=*}"
        eval "waits_$key=\$word pids_$key="
    done
    # All processes are looked at only when a second has passed without a word: most checks that have
    # ended are told at once.
    live="" closer=yes looked=0
    find_ended "$@"
    while :; do
        while [ -n "$ended" ]; do
            [ "$stream" = 1 ] || break 2
            report_ended
        done
        if [ "$waiting" -le 0 ] || [ -n "$anew" ] || [ ! -f supervisor.sh ]; then break; fi
        since "$begun"
        left=$((expire * 100 - took))
        [ "$left" -gt 0 ] || break
        if [ "$((took - looked))" -ge 150 ]; then
            # One end follows the other, and one that is lost would not be missed.
            looked=$took
            look "$@"
            continue
        fi
        heard=
        if [ -n "$bell" ]; then
            rounds "$left"
            hear "$round" "$bell"
            [ -p "$bell" ] || break
        else
            # None can be made here (no space, read-only).
            sleep 1
        fi
        key_of "$heard"
        case $heard in
        "" | timer)
            looked=$((took + 100))
            look "$@"
            continue ;;
        esac
        case $key in
        *[!0-9A-Za-z_]*) word=unknown ;;
        *) eval "word=\${waits_$key-unknown}" ;;
        esac
        case $word in
        # It has been reported already.
        "") ;;
        # "closed", or a job that was started since, or a part of a word that came just as the time
        # was over: then look once more, and let the caller ask anew.
        unknown)
            find_ended "$@"
            anew=yes ;;
        *) find_ended "$word" ;;
        esac
    done
    [ -z "$bell" ] || rm -f "$bell"
    [ "$stream" = 0 ] || ended=
    report_ended
    exit 0
}

# key_of ID: set $key to what may end the name of a variable. There are variables for each job that
# is waited for, since a list would have to be searched at each end: $waits_KEY is its word, empty
# once it has ended, and $pids_KEY are the processes to look after.
key_of() {
    key=${1#*-}
    key=${key%%-*}_${key##*-}
}

# find_ended ID=LIMIT...: move those that have ended from what is waited for to $ended.
find_ended() {
    for word in "$@"; do
        key_of "${word%%=*}"
        eval "word=\$waits_$key"
        if [ -n "$word" ] && has_ended "${word%%=*}"; then
            ended="$ended $word"
            eval "waits_$key="
        fi
    done
    live=
}

# look ID=LIMIT...: around, after about a second, by builtins alone; closer the first time, and where
# a process or a file is missing.
look() {
    for word in "$@"; do
        key_of "${word%%=*}"
        pids=
        eval "word=\$waits_$key pids=\$pids_$key"
        [ -n "$word" ] || continue
        [ -p "${word%%=*}/alive" ] || closer=yes
        for pid in $pids; do
            [ "$pid" = 0 ] || exists "$pid" || closer=yes
        done
    done
    if [ -n "${closer-}" ]; then
        closer=
        live
        find_ended "$@"
    elif [ -z "$bell" ]; then
        find_ended "$@"
    fi
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

# has_ended ID, the job of $key; if not, $closer says to look again. A job whose guard is gone gets a new
# one, which finds out what became of it.
has_ended() {
    set -- "$1" "$1"/state.*
    case $2 in
    */state.run.* | */state.end.*)
        facts "${2#*/}"
        eval "pids_$key=\"$sup $gid\""
        [ -n "$live" ] && ! is_live "guard:$1" || return 1
        closer=yes
        # Where no state can be changed, only that nothing is left can be seen to.
        is_live "run:$1" || writable "$1" || ! is_over "$1" || return 0
        regard "$1"
        return 1 ;;
    */state.\*)
        # Removed; or we have looked at it just as it changed.
        [ -p "$1/alive" ] || return 0
        closer=yes
        nap
        set -- "$1" "$1"/state.*
        [ ! -e "$2" ] ;;
    esac
}

# is_over ID: is nothing left of its check?
is_over() {
    (
        id=$1
        cd "$id" && tree
        [ -z "$tree" ]
    )
}

# regard ID: start its guard again.
regard() {
    guard_shell
    (cd "$1" && exec $setsid "$gsh" ../supervisor.sh guard "$sh" "$1" "guard:$1" "" \
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
    for _ in 1 2 3; do
        set -- "$1" "$2" "$1"/state.run.*
        [ -e "$3" ] || return 0
        facts "${3##*/}"
        [ "$grace" -lt "$2" ] || grace=$2
        if mv "$3" "$1/state.end.cancel.$start.$grace.$sup.$gid" 2>/dev/null; then
            echo cancel 1<>"$1/alive"
            return 0
        fi
    done
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
    now
    begun=$now
    while live; unfinished; do
        since "$begun"
        [ "$took" -lt 650 ] || break
        nap
    done
    if [ "$live" != "$newline$newline" ]; then
        # Stopped, or where nothing can be written any more.
        # shellcheck disable=SC2013 # names of /proc have no spaces
        for word in $(grep -ls ":$run-" /proc/[0-9]*/cmdline); do
            word=${word%/cmdline}
            kill -KILL "${word#/proc/}" 2>/dev/null
        done
    fi
    kill_strays "$run"
    reply
    # shellcheck disable=SC2086 # counted as words
    set -- $tree
    record left "$#"
    [ "$keep" = 0 ] || printf "" >kept
    cd .. || exit 1
    if [ "$keep" = 0 ]; then
        # Again, if a request of the same run that was under way has just made a file there.
        round=0
        while rm -rf "./$run" 2>/dev/null; [ -d "$run" ] && [ "$round" -lt 20 ]; do
            round=$((round + 1))
            nap
        done
        [ ! -d "$run" ] || refuse "*" "cannot remove $PWD/$run"
    fi
    sweep
    root=$PWD
    cd / && rmdir "$root" 2>/dev/null
    finish
}

# unfinished: is there a job that is not over?
unfinished() {
    [ "$live" = "$newline$newline" ] || return 0
    [ -n "${blind-}" ] || return 1
    for word in "$run"-*/state.run.* "$run"-*/state.end.*; do
        [ ! -e "$word" ] || return 0
    done
    return 1
}

# kill_strays RUN: what its checks have left running carries the run's cookie.
kill_strays() {
    rounds=0
    while cookies "$1-"; tree=${marked# }; [ -n "$tree" ] && [ "$rounds" -lt 20 ]; do
        for pid in $tree; do kill -KILL "$pid" 2>/dev/null; done
        rounds=$((rounds + 1))
        nap
    done
}

# sweep: remove the runs, in the user's directory, that nobody ended: untouched for a day, without a
# living supervisor, not kept on purpose, and by name and content ours.
sweep() {
    others=""
    for old in *; do
        case $old in *[!0-9a-f]* | "$run") continue ;; ????????????) ;; *) continue ;; esac
        if [ -d "$old" ] && [ ! -h "$old" ] && [ -f "$old/supervisor.sh" ] && [ ! -e "$old/kept" ]; then
            others="$others $old"
        fi
    done
    [ -n "$others" ] || return 0
    # shellcheck disable=SC2044,SC2086 # words
    for run in $(find $others -prune -mtime +0 2>/dev/null); do
        live
        [ "$live" = "$newline$newline" ] || continue
        kill_strays "$run"
        rm -rf "./$run"
    done
}

case $verb in
start) start "$@" ;;
await) await "$@" ;;
cancel) cancel "$@" ;;
tail) tails "$@" ;;
clean) clean "$@" ;;
esac
