#!/bin/sh
# What pytest-bgcheck runs on a target: POSIX sh and the basic utilities, nothing else.
#
# This part tells how a job lives, and names the other parts in the order in which they are needed.
# Python puts each part in the place of its line, drops comments and indentation, and sends all of
# it as one program, which lies as `supervisor.sh` in the run's directory.
#
# A run is a directory, a job is a directory in it, and nothing else is known of a job than what
# this directory says. The name of its one `state.*` file is its state. A state changes only by a
# rename, which is atomic, works on a full disk, and lets exactly one of several processes win:
#
#   state.run.START.TIMEOUT.GRACE.SUPERVISOR.GUARD   the check runs (centiseconds, process ids)
#   state.end.KIND.START.GRACE.SUPERVISOR.GUARD      somebody ends it; KIND: timeout, cancel, lost or
#                                                    unready (it had its time to become ready)
#   state.exit.RC.TOOK.ATTEMPTS[.full][.NOTE]        final: the command ended by itself; full: there
#                                                    was no space left for its output
#   state.KIND.TOOK.ATTEMPTS.LEFT.NOTE[.RC]          final: a KIND as above; LEFT processes
#                                                    could not be killed; NOTE: see end_check; RC: of
#                                                    the last whole attempt
#   state.refused.WHY                                final: it could not be run
#
# A caller prepares a job in a directory of its own, `new.CALL.ID`. The job's supervisor, which has
# its guard already and is in the state `run`, claims the job: it renames that directory to `ID`. So
# a job starts exactly once, however many callers there are, and wherever one is stopped or killed;
# all but one attach to the job that is there. (`mv` moves the directory of one that comes too late
# into the other's: it then finds that it is not where it wanted to be.)
#
# Each job has two processes beside the check's own:
#
#   run    the supervisor. It runs the check in the foreground, so that the exit code is exact and
#          SIGINT is not ignored in the check. It holds the write end of the FIFO `alive` open, and
#          says in the job's state how the check ended.
#   guard  enforces the limits. It waits in a read of `alive`, whose end-of-file says that the
#          supervisor is gone, however it went. Each second the read times out, and the guard looks,
#          without a fork, whether the job's directory is still there and can be written.
#
# A service that is not ready has one more, its watcher: see ready.sh. The supervisor of a probe becomes
# its prober, which runs the check again and again: see probe.sh.
#
# If both are killed at once, the request that waits for the job sees it: it looks each second
# whether they are there, also without a fork. So whatever is removed or killed is known within two
# seconds.
#
# A child gets its descriptors by a redirection in a subshell that becomes the child: ksh and mksh
# hand on no others, and mksh and yash keep a copy of what is redirected in their own shell.
#
# Guards and the requests that wait need a `read` with a time-out, and numbers of 64 bits. Where the
# shell has no such read (dash, yash) or counts in 32 bits (mksh), bash runs them if it is there. If
# not, each takes two more processes where there is no such read, a subshell and its sleep. A CHLD
# trap would save these two, but bash in POSIX mode then forgets the exit code that it was waiting
# for.
#
# A request that waits makes a FIFO `bell.GROUP.*` in the run's directory. Each job that ends rings
# all bells of its group, which is its host: the end of its id. (Two names of one computer share a
# directory.) A bell is opened for reading and writing (1<>), which never blocks, so that the bell
# of a waiter that has died harms nobody.
#
# Where one process of the run alone knows of a job, its id has a _ and four letters of that process
# ahead of the group. Calls whose nonces begin with others do not hear it.
#
# A process is known by its id and the time of its birth: after a restart, of a container above all,
# another process soon has that id. Nothing is killed that is not proven to be the check's.
#
# The arguments of each kind of process, in the order in which the lines that start it give them:
#
#   launch SHELL ID ATTEMPT CALL UMASK LAST
#   run    SHELL ID run:ID NEW TIMEOUT GRACE RETRY RCS CALL GUARD_SHELL UMASK LIMIT
#   guard  SHELL ID guard:ID SUPERVISOR START TIMEOUT GRACE LIMIT
#   watch  SHELL ID watch:ID LIMIT
#   search SHELL ID search:ID STREAM FROM LIMIT
#   look   SHELL ID look:ID CALL UMASK
#   stay   SHELL ID run:ID START TIMEOUT RC CALL UMASK
#   probe  SHELL ID run:ID START RCS CALL UMASK
#   VERB   SHELL NONCE RUN NAME=VALUE...     a request; its words are told in words.sh
#
# Values come in as arguments or files, never as program text. The code has no single quotes: each
# would cost five bytes at every level of quoting on its way here.
#
# A shell reads its program only as far as it runs it. So what a job's processes need comes first:
# to read all would take dash half a millisecond, and bash two, for each process of each job.

set -u
# With CDPATH "cd name" could lead elsewhere. The others are asked for before they are set here.
unset CDPATH _uid _timed _sees _sees_cwd _said_ready _is_guard _blind _closely_next _ended _unpunched \
    _done_out _done_err _suspects _seeks_daemon _sample_limit _timer

_verb=$1 _sh=$2
shift 2

# A check gets the login's umask. What is made here is closed to others.
[ "$_verb" != start ] || _mask=$(umask)
umask 077

# What the processes of a job begin with.
_id=$1 _run=${1%%-*} _leader=none _leader_born=0 _attempt=0 _last="" _known=
_newline="
"

# $_setsid starts a command as the leader of a session of its own, where there is a setsid.
_setsid=
if command -v setsid >/dev/null 2>&1; then _setsid=setsid; fi

. ./states.sh
. ./check.sh
if [ "$_verb" = launch ]; then
    launch "$@"
    # shellcheck source=/dev/null
    . ./spec
    exit 125
fi

. ./clocks.sh
. ./supervise.sh
if [ "$_verb" = run ]; then supervise "$@"; fi

. ./wait.sh
. ./processes.sh
. ./output.sh
. ./guard.sh
if [ "$_verb" = guard ]; then
    _given_supervisor=$3 _given_start=$4 _given_timeout=$5 _given_grace=$6 _limit=$7
    trap begin_again EXIT
    guard "$@"
fi

. ./replies.sh
. ./way_in.sh
. ./words.sh
. ./start.sh
. ./await.sh
. ./end.sh
. ./follow.sh
. ./open_close.sh
_nonce=$1 _run=$2
shift 2
case $_verb in
start) start "$@" ;;
await) await "$@" ;;
store) store "$@" ;;
cancel) cancel "$@" ;;
tail) tell_jobs "$@" ;;
clean) clean "$@" ;;
follow) follow "$@" ;;
unfollow) unfollow "$@" ;;
open) open_windows "$@" ;;
close) close_windows "$@" ;;
esac

# Requests do not come here.
. ./windows.sh
. ./probe.sh
if [ "$_verb" = probe ]; then probe "$@"; fi
. ./ready.sh
case $_verb in
watch) watch "$@" ;;
stay) stay "$@" ;;
search) search "$@" ;;
look)
    prepare_look "$@"
    # shellcheck source=/dev/null
    . ./look
    exit 125 ;;
esac
