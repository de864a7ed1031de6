# The words of a request. Behind VERB SHELL NONCE RUN each word is NAME=VALUE, as `requests.py`
# writes it. A value is data, and never becomes program text. A word holds for all jobs behind it,
# until the next word of that name: so what is the same for many jobs is sent once.
#
#   start    base=DIRECTORY                 where the user's directory is to be, encoded; must be the first
#                                           word; empty: in $TMPDIR or /tmp
#            file=NAME data=DATA            a part of a script or of a specification, encoded
#   await    expire_s=SECONDS               how long to wait
#            budget=BYTES                   of output in one frame, beyond which no further job is told in it
#            stream=1 or 0                  whether to go on until all jobs have ended
#            list=NAME                      jobs that store has taken in
#            proof=1                        do not wait for ends, but find out which jobs still run
#            proof=end                      the same, and one that is being cancelled runs
#   store    list=NAME.NUMBER               then words of an await, which are kept as they are
#   clean    keep=1 or 0                    whether the run's directory is to stay
#   close    expire_s=SECONDS               how long to wait for the probers
#   follow   expire_s, budget, stream       as an await's
#   unfollow ends=NONCE                     of the follow that is to end
#
#   id=ID                                   the job, to which all words ahead of it apply
#   timeout_cs=N grace_cs=N                 its limits in centiseconds (start, await, close)
#   output_limit=BYTES                      of each stream in a report (start, await, tail, follow, close)
#   from_out=N from_err=N                   the first byte of a stream to tell, without its mark, or
#                                           "end": none that is there already (follow)
#   attempt=N                               of which that is; of another one all is told; 0: not known (follow)
#   retry_every_s=SECONDS                   run it again after these seconds; empty: run it once (start)
#   rc=N,N                                  until its exit code is one of these (start)
#   terms=DIGEST                            of its declaration (start)
#   script_size=BYTES                       of its script, which was sent as files; 0: it has none (start)
#   spec_size=BYTES spec=DATA               its specification, encoded; no spec: it was sent as files (start)
#   ready_timeout_cs=N                      it is a service, which has so long to become ready (start)
#   ready_size=BYTES ready=DATA             the specification of its ready command, as spec; 0: it has none (start)
#   pattern=DATA                            an extended regular expression, encoded: a line of its output has to
#                                           match it before it is ready; empty: none has to (start)
#   unready=1                               tell that it has become ready, too (await)
#   every_cs=N sample_timeout_cs=N          it is a probe: from the start of one sample to that of the next, and
#                                           how long each may take (start)
#   window=WID                              of letters and digits (open, close)

# A word that a request does not say is empty, whatever a login's variable of that name is.
_base="" _expire_s="" _budget="" _stream="" _list="" _proof="" _keep="" _ends=""

# each_job STEP WORD...: read the words, and call STEP for each job, which is $_id. By builtins
# alone, since there can be thousands of words. What is a job's own does not hold for the next.
each_job() {
    _step=$1 _file="" _timeout_cs="" _grace_cs="" _output_limit="" _retry_every_s="" _rc="" _script_size="" \
        _terms="" _spec_size="" _spec="" _from_out="" _from_err="" _from_attempt="" \
        _ready_timeout_cs="" _look_size="" _look="" _pattern="" _unready="" \
        _every_cs="" _sample_timeout_cs="" _window=""
    shift
    for _word in "$@"; do
        case $_word in
        id=*)
            _id=${_word#*=}
            "$_step"
            _terms="" _spec_size="" _spec="" _ready_timeout_cs="" _look_size="" _look="" _pattern="" _unready="" \
                _every_cs="" _sample_timeout_cs="" _window="" ;;
        terms=*) _terms=${_word#*=} ;;
        spec_size=*) _spec_size=${_word#*=} ;;
        spec=*) _spec=${_word#*=} ;;
        ready_timeout_cs=*) _ready_timeout_cs=${_word#*=} ;;
        ready_size=*) _look_size=${_word#*=} ;;
        ready=*) _look=${_word#*=} ;;
        pattern=*) _pattern=${_word#*=} ;;
        unready=*) _unready=${_word#*=} ;;
        every_cs=*) _every_cs=${_word#*=} ;;
        sample_timeout_cs=*) _sample_timeout_cs=${_word#*=} ;;
        window=*) _window=${_word#*=} ;;
        timeout_cs=*) _timeout_cs=${_word#*=} ;;
        grace_cs=*) _grace_cs=${_word#*=} ;;
        output_limit=*) _output_limit=${_word#*=} ;;
        retry_every_s=*) _retry_every_s=${_word#*=} ;;
        rc=*) _rc=${_word#*=} ;;
        script_size=*) _script_size=${_word#*=} ;;
        file=*) _file=${_word#*=} ;;
        data=*) [ "$_step" != list_job ] || put_file "${_word#*=}" ;;
        base=*) _base=${_word#*=} ;;
        expire_s=*) _expire_s=${_word#*=} ;;
        budget=*) _budget=${_word#*=} ;;
        stream=*) _stream=${_word#*=} ;;
        list=*) _list=${_word#*=} ;;
        proof=*) _proof=${_word#*=} ;;
        keep=*) _keep=${_word#*=} ;;
        ends=*) _ends=${_word#*=} ;;
        from_out=*) _from_out=${_word#*=} ;;
        from_err=*) _from_err=${_word#*=} ;;
        attempt=*) _from_attempt=${_word#*=} ;;
        *) refuse "*" "a word of the request is not known: ${_word%%=*}"; finish ;;
        esac
    done
}

# lacks NAME...: refuse the request, in which one of these words is missing.
lacks() {
    refuse "*" "the request lacks one of the words: $*"
    finish
}
