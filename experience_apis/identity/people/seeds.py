"""The users file: reads and checks it, and turns it into people with hashed passwords."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, model_validator

from experience_apis.identity.people.passwords import PasswordKeeper, password_fault
from experience_apis.identity.people.records import People, Person
from experience_apis.identity.roles import RoleBook
from shared.documents import read_yaml

CUSTOMER_ROLE = "customer"
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
LoginName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@+-]{0,119}$")]
FullName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PersonSeed(BaseModel):
    """One person of the file; the password stands there in plain or, better, in the environment.

    A password changed on the page stays until the file states another one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: LoginName
    full_name: FullName
    tenant: Word
    subject: Word | None = Field(default=None, description="Who tokens speak of; by default the name.")
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)] | None = None
    roles: frozenset[str] = Field(min_length=1)
    customers: frozenset[Word] | None = Field(
        default=None, max_length=100, description="Whose records exist for this person."
    )
    language: Literal["en", "de"] | None = None
    password: SecretStr | None = None
    password_env: str | None = None
    must_change_password: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.password is None) == (self.password_env is None):
            raise ValueError("give either password or password_env")
        if CUSTOMER_ROLE in self.roles and not self.customers:
            raise ValueError("a customer's person names its customers; else the whole tenant would be open")
        return self

    def plain_password(self, environment: Mapping[str, str]) -> str:
        """The password in plain; ValueError if it is missing or none that we take."""
        text = self.password.get_secret_value() if self.password else environment.get(self.password_env or "", "")
        if (fault := password_fault(text, name=self.name)) is not None:
            where = "password" if self.password else f"environment variable {self.password_env}"
            raise ValueError(f"user {self.name}: {where} is not taken: {fault.replace('_', ' ')}")
        return text


class UsersFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: tuple[PersonSeed, ...]

    @model_validator(mode="after")
    def _are_different(self) -> Self:
        names = [seed.name for seed in self.users]
        subjects = [f"{seed.tenant}/{seed.subject or seed.name}" for seed in self.users]
        doubles = sorted({one for told in (names, subjects) for one in told if told.count(one) > 1})
        if doubles:
            raise ValueError(f"name or subject used twice: {', '.join(doubles)}")
        return self


def read_users_file(path: Path, book: RoleBook) -> UsersFile:
    """The file's people, checked; ValueError names file, place and reason, never a password."""
    try:
        content: Any = read_yaml(path.read_text("utf-8"))
        seeds = UsersFile.model_validate(content)
    except OSError as error:
        raise ValueError(f"users_file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"users_file {path}{f' line {mark.line + 1}' if mark else ''}: not YAML") from None
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"users_file {path}: {reasons}") from None
    for place, seed in enumerate(seeds.users):
        if strangers := sorted(seed.roles - book.roles.keys()):
            raise ValueError(f"users_file {path}: users.{place}.roles: no such role: {', '.join(strangers)}")
    return seeds


async def enrol_people(
    path: Path,
    *,
    people: People,
    keeper: PasswordKeeper,
    book: RoleBook,
    environment: Mapping[str, str] | None = None,
) -> Sequence[Person]:
    """Make our people those of the file; a password the file has not changed stays as it is. Repeat: same people."""
    seeds = read_users_file(path, book)
    surroundings = os.environ if environment is None else environment
    enrolled: list[Person] = []
    for seed in seeds.users:
        password = seed.plain_password(surroundings)
        known = await people.find(seed.name)
        if known is not None and known.seeded_hash and await keeper.matches(password, known.seeded_hash):
            current, seeded, must_change = known.password_hash, known.seeded_hash, known.must_change_password
        else:
            current = seeded = await keeper.hashed(password)
            must_change = seed.must_change_password
        enrolled.append(
            Person(
                name=seed.name,
                subject=seed.subject or seed.name,
                tenant=seed.tenant,
                full_name=seed.full_name,
                roles=seed.roles,
                email=seed.email,
                customers=seed.customers,
                language=seed.language,
                must_change_password=must_change,
                password_hash=current,
                seeded_hash=seeded,
            )
        )
    await people.enrol(enrolled)
    return enrolled
