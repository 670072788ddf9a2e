"""Pocketbook: an application with its own users, its own authentication and its own pages, and Dashtam in it."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Final, cast

import attrs
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from dashtam_core import Actor, Dashtam, Failure, Settings, Success, UnavailableError
from dashtam_core.accounts import BalanceKind, ListAccounts
from dashtam_core.identity import ACCOUNTS_READ, OWNER, ExternalSubject
from dashtam_core.kernel import Subject
from dashtam_fastapi import ProblemError, acting, problem_response, router


@attrs.frozen
class User:
    """Somebody who has an account at Pocketbook. What Dashtam needs of them is an id that never changes."""

    user_id: int
    name: str
    password: str = attrs.field(repr=False)
    may_write: bool = True


USERS: Final = {
    user.name: user
    for user in (User(1, "ann", "ann's"), User(2, "ben", "ben's"), User(3, "guest", "guest's", may_write=False))
}  # a real application has them in its database, with hashed passwords


# Pocketbook's own way to tell who asks


def current_user(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> User:
    user = USERS.get(credentials.username)
    if user is None or not secrets.compare_digest(user.password.encode(), credentials.password.encode()):
        raise HTTPException(401, "name or password is wrong", {"www-authenticate": "Basic"})
    return user


CurrentUser = Annotated[User, Depends(current_user)]


# Dashtam in it


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Opens Dashtam while the application runs: in memory here, where a real one has settings for a store."""
    async with Dashtam.open(settings=Settings()) as app.state.dashtam:
        yield


def find_dashtam(request: Request) -> Dashtam:
    return cast("Dashtam", request.app.state.dashtam)


def subject(user: CurrentUser) -> Subject:
    """Who a user of Pocketbook is to Dashtam, and what they may do there."""
    return ExternalSubject(f"pocketbook|{user.user_id}", OWNER if user.may_write else frozenset({ACCOUNTS_READ}))


def unavailable(_: Request, error: Exception) -> Response:
    """For endpoints of Pocketbook's own: those of the router answer for themselves."""
    return problem_response(error)


app = FastAPI(title="Pocketbook", lifespan=lifespan)
app.include_router(router(find_dashtam, subject=subject), prefix="/money")
app.add_exception_handler(UnavailableError, unavailable)

Me = Annotated[Actor, Depends(acting(find_dashtam, subject=subject))]


# Pocketbook's own pages


@app.get("/hello")
async def hello(user: CurrentUser) -> str:
    return f"Good day, {user.name.capitalize()}"


@app.get("/worth")
async def worth(me: Me) -> dict[str, str]:
    """What the user's accounts hold by currency. Asks Dashtam itself: no HTTP, no second authentication."""
    match await me.ask(ListAccounts(limit=500)):
        case Success(page):
            totals: dict[str, Decimal] = {}
            for balance in (each for overview in page.items for each in overview.balances):
                if balance.kind is BalanceKind.LEDGER:
                    code = balance.amount.currency.code
                    totals[code] = totals.get(code, Decimal(0)) + balance.amount.amount
            return {code: str(total) for code, total in totals.items()}
        case Failure(error):
            raise ProblemError.of(error)
