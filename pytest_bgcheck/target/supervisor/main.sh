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
# A shell whose `read` has no -t (dash, yash) lends guard and waiter to bash where there is one, as does
# one that counts in 32 bits (mksh), and else to two more processes, a subshell with its sleep. CHLD traps would save these, but bash in POSIX
# mode forgets the exit code it was waiting for, and a wrong verdict is worse than a process.
#
# Whoever waits for jobs makes a FIFO `bell.GROUP.*` in the run's directory; each end rings the bells
# of its group, which is its host (the end of its id): two names of one computer share a directory.
# A bell is opened read-write (1<>), which never blocks, so that a dead waiter's bell harms nobody.
#
# A process is known by its id and the time of its birth: after a restart, of a container above all,
# an id in a file is soon another's. Nobody is killed who is not proven to be the check's.
#
# The arguments of each kind of process, as the lines that start them have them:
#
#   launch SHELL ID ATTEMPT CALL UMASK LAST
#   run    SHELL ID run:ID NEW TIMEOUT GRACE RETRY RCS CALL GUARD_SHELL UMASK LIMIT
#   guard  SHELL ID guard:ID SUPERVISOR START TIMEOUT GRACE LIMIT
#   VERB   SHELL NONCE RUN NAME=VALUE...     a request; its words are told in words.sh
#
# Values come in as arguments or files, never as program text. The code has no single quotes: each
# would cost five bytes at every level of quoting on its way here. Comments are not sent.
#
# A shell reads this file as far as it runs it. What a job's processes are to be comes first, each
# behind what it needs: half a millisecond in dash, two in bash, for each process of each job.

set -u
# With it, "cd name" could lead elsewhere. And what is asked for before it is set is no login's to set.
unset CDPATH _uid _timed _sees _sees_cwd _told _guards _blind _closer _ended _unpunched _done_out _done_err

_verb=$1 _sh=$2
shift 2

# A check has the login's umask; what is made here is nobody else's.
[ "$_verb" != start ] || _mask=$(umask)
umask 077

# For the processes of a job.
_id=$1 _run=${1%%-*} _leader=none _leader_born=0 _attempt=0 _last="" _proven=none _known=
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
    _boss=$3 _begun_at=$4 _most=$5 _patience=$6 _limit=$7
    trap begin_again EXIT
    guard "$@"
fi

. ./replies.sh
. ./way_in.sh
. ./words.sh
. ./start.sh
. ./await.sh
. ./end.sh
_nonce=$1 _run=$2
shift 2
case $_verb in
start) start "$@" ;;
await) await "$@" ;;
keep) keep "$@" ;;
cancel) cancel "$@" ;;
tail) tails "$@" ;;
clean) clean "$@" ;;
esac
