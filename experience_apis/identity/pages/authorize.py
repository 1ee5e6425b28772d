"""The door portals send people through: login, consent, and back with a code; what is decided is decided in `codes`."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from experience_apis.identity.codes.authorization import Answer, AuthorizationDesk, Next
from experience_apis.identity.codes.wishes import PERSON_SCOPES, Wish, WishRefused
from experience_apis.identity.pages.desk import AUTHORIZE_PATH, PASSWORD_PATH, AccountDesk
from experience_apis.identity.pages.forms import FORM, posted
from experience_apis.identity.pages.press import wording_for
from experience_apis.identity.people.records import PersonSession
from experience_apis.identity.people.sessions import csrf_of, is_csrf_of
from experience_apis.identity.people.visitors import LOGIN_PATH
from experience_apis.wording.catalog import Wording

CONSENT_PATH = "/oauth/consent"
_PARAMETERS_AT_MOST = 40
_REQUEST_AT_MOST = 5000

Parameters = Sequence[tuple[str, str]]


def authorization_pages(desk: AccountDesk, authorization: AuthorizationDesk) -> APIRouter:
    """Authorization endpoint and consent page."""
    router = APIRouter(include_in_schema=False)

    @router.get(AUTHORIZE_PATH, name="authorize")
    async def authorize(request: Request) -> Response:
        """Answers a portal's authorization request."""
        return await _answered(desk, authorization, request, _read(request.url.query))

    @router.post(AUTHORIZE_PATH, name="authorize_by_form")
    async def authorize_by_form(request: Request) -> Response:
        """The same by form, as OpenID Connect wants it; goes on by GET, where the browser brings its session along."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        text = (await request.body()).decode("utf-8", "replace") if content_type == FORM else ""
        return RedirectResponse(f"{AUTHORIZE_PATH}?{urlencode(_read(text))}", status_code=303)

    @router.post(CONSENT_PATH, name="consent")
    async def consent(request: Request) -> Response:
        """The person's answer; the request is checked again from the start, so nothing in the form is trusted."""
        form = await posted(request)
        parameters = _read(form.get("request", ""))
        found = await desk.session(request)
        if found is None or not is_csrf_of(found[0], form.get("csrf")):
            return RedirectResponse(f"{AUTHORIZE_PATH}?{urlencode(parameters)}", status_code=303)
        _, session = found
        words = wording_for(request, session.person.language)
        try:
            wish = await authorization.wish(parameters)
            if form.get("decision") != "allow":
                answer = authorization.deny(wish, session.person)
            elif session.person.must_change_password:
                return RedirectResponse(f"{AUTHORIZE_PATH}?{urlencode(parameters)}", status_code=303)
            else:
                answer = await authorization.grant(wish, session, remember=form.get("remember") == "yes")
        except WishRefused as refusal:
            return _refused(desk, authorization, request, refusal)
        # no redirect: browsers hold redirects after a form to the page's form-action, and this one leaves our origin
        return desk.press.page("onward.html", words, address=answer.address, said=words.say("login.leaving"))

    return router


async def _answered(
    desk: AccountDesk, authorization: AuthorizationDesk, request: Request, parameters: Parameters
) -> Response:
    try:
        wish = await authorization.wish(parameters)
        found = await desk.session(request)
        step = await authorization.next(wish, found[1] if found else None)
        if found is not None and step is Next.CONSENT:
            return _consent(desk, authorization, request, wish, found, parameters)
        if found is not None and step is Next.NOTHING:
            return _back(await authorization.grant(wish, found[1]))
    except WishRefused as refusal:
        return _refused(desk, authorization, request, refusal)
    if step is Next.PASSWORD:
        back_to = f"{AUTHORIZE_PATH}?{urlencode(parameters)}"
        return RedirectResponse(f"{PASSWORD_PATH}?{urlencode({'back_to': back_to})}", status_code=303)
    return RedirectResponse(_login(wish, parameters, is_again=found is not None), status_code=303)


def _read(text: str) -> Parameters:
    if len(text) > _REQUEST_AT_MOST or text.count("&") >= _PARAMETERS_AT_MOST:
        return ()
    return parse_qsl(text, keep_blank_values=False, max_num_fields=_PARAMETERS_AT_MOST)


def _login(wish: Wish, parameters: Parameters, *, is_again: bool) -> str:
    # what asks for a fresh login is fulfilled by it; left in place it would ask for ever
    rest = [
        (name, _without_login(value) if name == "prompt" else value)
        for name, value in parameters
        if not (name == "max_age" and wish.max_age == 0)
    ]
    kept = [(name, value) for name, value in rest if value]
    told = {"back_to": f"{AUTHORIZE_PATH}?{urlencode(kept)}"}
    if is_again:
        told["again"] = "yes"
    if wish.login_hint:
        told["name"] = wish.login_hint
    return f"{LOGIN_PATH}?{urlencode(told)}"


def _without_login(prompt: str) -> str:
    return " ".join(one for one in prompt.split() if one not in {"login", "select_account"})


def _back(answer: Answer) -> Response:
    return RedirectResponse(answer.address, status_code=303)


def _refused(desk: AccountDesk, authorization: AuthorizationDesk, request: Request, refusal: WishRefused) -> Response:
    answer = authorization.refusal(refusal)
    if answer is not None and request.method == "GET":
        return _back(answer)
    words = wording_for(request)
    if answer is not None:
        return desk.press.page("onward.html", words, address=answer.address, said=words.say("refusal.title"))
    return desk.press.page("refusal.html", words, status=400, reason=refusal.reason)


def _consent(
    desk: AccountDesk,
    authorization: AuthorizationDesk,
    request: Request,
    wish: Wish,
    found: tuple[str, PersonSession],
    parameters: Parameters,
) -> Response:
    cookie, session = found
    words = wording_for(request, session.person.language)
    scopes = authorization.granted_scopes(wish, session.person)
    again = [("prompt", "login"), *((name, value) for name, value in parameters if name != "prompt")]
    return desk.press.page(
        "consent.html",
        words,
        client=wish.client.name,
        name=session.person.full_name,
        wishes=_in_words(scopes, words),
        csrf=csrf_of(cookie),
        request_text=urlencode([(name, value) for name, value in parameters if name != "prompt"]),
        host=urlsplit(wish.redirect_uri).netloc or wish.redirect_uri,
        switch=f"{AUTHORIZE_PATH}?{urlencode(again)}",
    )


def _in_words(scopes: frozenset[str], words: Wording) -> list[str]:
    told = [words.say_or(f"scopes.{scope}", scope) for scope in sorted(scopes - PERSON_SCOPES)]
    return [words.say("consent.identify"), *told] if scopes & PERSON_SCOPES else told
