"""Every error AgentTrace raises.

AgentTraceError
  + InvalidPayload       bytes that are no OTLP, with what is wrong in them
  + InvalidRules         a file of rules that is not one: which rule, which field, what is allowed
  + PluginError          a plugin broke its contract
  + TraceNotFound        no such trace in the store
  + SpanNotFound         no such span in that trace
  + MessageNotFound      no such message in that trace
  + FailureNotFound      no such failure annotation in the store
  + NotByHand            a finding that nobody added by hand cannot be deleted
  + JudgeError           the judge's model gave no answer that can be used
  + StoreUnavailable     the database cannot be reached or written; try again later
  + SchemaError          the database's tables are not those this server works with
  + ServerError          an AgentTrace server cannot be started or reached
  + ReplayError
    - CheckpointNotFound
    - NoExecutor         no installed plugin replays this framework
    - EditError          an edit does not fit the state it is for
    - ReplayStopped      a tool has no recording, and may not run again without leave
    - ReplayCancelled    the replay was told to stop
    - NotResumable       the checkpoint cannot be resumed, and why
    - NoWorker           no connected worker can run it
    - ReplayNotFound     no such replay in the store
    - ReplayLost         the replay is no longer this worker's
"""


class AgentTraceError(Exception):
    """The root of the tree above. The message says what, which, and what next."""


class InvalidPayload(AgentTraceError):
    """The bytes are not what their content type says."""


class InvalidRules(AgentTraceError):
    """A file of rules cannot be used; the message names the file, the rule and the field."""


class PluginError(AgentTraceError):
    """A plugin broke its contract."""


class TraceNotFound(AgentTraceError):
    """No such trace in the store."""


class SpanNotFound(AgentTraceError):
    """No such span in that trace."""


class MessageNotFound(AgentTraceError):
    """No such message in that trace."""


class FailureNotFound(AgentTraceError):
    """No such failure annotation in the store."""


class NotByHand(AgentTraceError):
    """A classifier's finding, which cannot be deleted but rejected."""


class JudgeError(AgentTraceError):
    """The judge's model was asked, and gave no answer that can be used."""


class StoreUnavailable(AgentTraceError):
    """The database cannot be reached or written now; the same call may succeed later."""


class SchemaError(AgentTraceError):
    """The database's tables are not those this server works with."""


class ServerError(AgentTraceError):
    """An AgentTrace server cannot be started or reached."""


class ReplayError(AgentTraceError):
    """A replay cannot be done."""


class CheckpointNotFound(ReplayError):
    """No such checkpoint in the store."""


class NoExecutor(ReplayError):
    """No installed plugin replays this framework."""


class EditError(ReplayError):
    """An edit does not fit the state it is for."""


class ReplayStopped(ReplayError):
    """A replay has come to a tool that is not in the record and may not run."""


class ReplayCancelled(ReplayError):
    """A replay was told to stop before it was done."""


class NotResumable(ReplayError):
    """The checkpoint cannot be resumed; the message says why."""


class NoWorker(ReplayError):
    """No connected worker can run the replay."""


class ReplayNotFound(ReplayError):
    """No such replay or experiment in the store."""


class ReplayLost(ReplayError):
    """The replay is no longer this worker's: it was silent for too long, or it has ended."""
