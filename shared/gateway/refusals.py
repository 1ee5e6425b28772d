"""Refusals only a gate makes: errors of the taxonomy that no room behind it raises."""

from __future__ import annotations

from shared.errors.taxonomy import MalformedRequest, Misconfigured, NotFound, NotPermitted, Refused


class JsonLimitsExceeded(MalformedRequest):
    """The body is deeper, wider or longer than any honest one, or names a member twice."""

    code = "json_limits_exceeded"
    sentence = "The JSON of the request is deeper, wider or longer than allowed."


class AddressNotPermitted(NotPermitted):
    """The network the request comes from is not let in."""

    code = "address_not_permitted"
    sentence = "Requests from this network address are not let in here."


class NotAcceptable(Refused):
    """The caller takes none of the media types this operation speaks."""

    status = 406
    code = "not_acceptable"
    sentence = "None of the media types the caller accepts is spoken here."


class UnknownVersion(NotFound):
    """The API exists, this version of it does not; `known_versions` names those that do."""

    code = "unknown_version"
    sentence = "There is no such version of this API."


class CountersDown(Misconfigured):
    """Requests cannot be counted and the policy says to refuse then."""

    code = "counters_unavailable"
    sentence = "Requests cannot be counted at present; try again shortly."
