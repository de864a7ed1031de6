# The words of a request, for all requests. Behind VERB SHELL NONCE RUN each word is NAME=VALUE, as
# `requests.py` writes it. A value is data, and never becomes program text. A word holds for all jobs
# behind it until another takes its place, so that what is the same for all is sent once.
#
#   start    base=DIRECTORY, where the user's directory is to be: encoded, and empty for $TMPDIR or /tmp
#            file=NAME data=DATA, a part of a script or a specification; encoded
#   await    expire_s=SECONDS budget=BYTES stream=1 or 0, see await; list=NAME, of jobs that keep has stored
#   keep     list=NAME.NUMBER and, not looked at, words for an await
#   clean    keep=1 or 0: whether the directory is to stay
#
#   id=ID                           the job, with all words ahead of it that hold
#   timeout_cs=N grace_cs=N         its limits, in centiseconds (start, await)
#   output_limit=BYTES              of each stream in a report (start, await, tail)
#   retry_every_s=SECONDS rc=N,N    run again after these seconds, until its exit code is one of these;
#                                   empty for not again (start)
#   terms=DIGEST                    of its declaration (start)
#   script_size=BYTES               of its script, which was sent as files; 0 for none (start)
#   spec_size=BYTES spec=DATA       its specification, encoded; empty if it was sent as files (start)

# What a request does not say is empty, whatever a login's variables are.
_base="" _expire_s="" _budget="" _stream="" _list="" _keep=""

# each_job STEP WORD...: read the words, and take the step with each job: $_id. By builtins alone: a request has
# thousands of words. What is a job's own is not kept for the next.
each_job() {
    _step=$1 _file="" _timeout_cs="" _grace_cs="" _output_limit="" _retry_every_s="" _rc="" _script_size="" \
        _terms="" _spec_size="" _spec=""
    shift
    for _word in "$@"; do
        case $_word in
        id=*)
            _id=${_word#*=}
            "$_step"
            _terms="" _spec_size="" _spec="" ;;
        terms=*) _terms=${_word#*=} ;;
        spec_size=*) _spec_size=${_word#*=} ;;
        spec=*) _spec=${_word#*=} ;;
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
        keep=*) _keep=${_word#*=} ;;
        *) refuse "*" "a word of the request is not known: ${_word%%=*}"; finish ;;
        esac
    done
}

# lacks NAME...: refuse the request, which has not said one of these.
lacks() {
    refuse "*" "the request lacks one of the words: $*"
    finish
}
