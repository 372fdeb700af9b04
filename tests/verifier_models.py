"""Pydantic models that tests name as targets."""

import os
import signal
import time
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import TypedDict


def _sleeps(value: str) -> str:
    time.sleep(600)
    return value


def _breaks(value: str) -> str:
    raise RuntimeError(f"broken by {value}")


def _dies(value: str) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return value


class Address(BaseModel):
    city: str
    zip: Annotated[str, Field(pattern=r"^\d{5}$")]


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    age: Annotated[int, Field(ge=0, le=150)]
    kind: Literal["user", "admin"] = "user"
    address: Address | None = None

    @field_validator("name")
    @classmethod
    def _two_words(cls, value: str) -> str:
        if len(value.split()) < 2:
            raise ValueError("give first and last name")
        return value

    @model_validator(mode="after")
    def _admins_are_grown(self) -> "Person":
        if self.kind == "admin" and self.age < 18:
            raise ValueError("an admin is at least 18")
        return self


class Point(TypedDict):
    x: int
    y: int


class Sleeper(BaseModel):
    name: Annotated[str, AfterValidator(_sleeps)]


class Breaker(BaseModel):
    name: Annotated[str, AfterValidator(_breaks)]


class Dier(BaseModel):
    name: Annotated[str, AfterValidator(_dies)]


class Backtracker(BaseModel):
    model_config = ConfigDict(regex_engine="python-re")

    name: Annotated[str, Field(pattern=r"^(a+)+$")]


People = list[Person]
nothing = 3
