"""A person as a whole, in memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs
from attrs.filters import exclude

from dashtam_core.audit import PersonKey
from dashtam_core.identity import Credential, CredentialKind
from dashtam_core.memory._identity import forget

if TYPE_CHECKING:
    from dashtam_core.memory._store import MemoryUnit

_CREDENTIAL: Final = attrs.fields(Credential)
_TOLD: Final = exclude(_CREDENTIAL.data, _CREDENTIAL.secret_hash, attrs.fields(PersonKey).wrapped)


@attrs.frozen
class MemoryPeople:
    unit: "MemoryUnit"

    async def erase(self) -> Mapping[str, int]:
        person = self.unit.person
        tokens = await self.unit.credentials.drop([CredentialKind.API_TOKEN])
        forget(self.unit, self.unit.user_id)
        self.unit.drop(self.unit.store.people, self.unit.user_id)
        self.unit.drop_events()
        return {
            "accounts": len(person.accounts),
            "transactions": sum(len(rows) for rows in person.transactions.values()),
            "balances": len(person.balances),
            "documents": len(person.documents),
            "tokens": tokens,
        }

    async def export(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        person, identity, mine = self.unit.person, self.unit.store.identity, self.unit.user_id
        whole: dict[str, Iterable[Any]] = {
            "account": person.accounts.values(),
            "balance": person.balances,
            "holding": person.holdings.values(),
            "transaction": [row for table in person.transactions.values() for row in table.values()],
            "annotation": person.annotations.values(),
            "match": person.matches.values(),
            "credential": identity.credentials.get(mine, {}).values(),
            "person_key": person.keys.values(),
            "outbox": {each.event: None for each in self.unit.store.outbox.waiting if each.event.user_id == mine},
            "audit_entry": [each for each in self.unit.store.trail.entries if each.user_id == mine],
        }
        rows = {name: [attrs.asdict(each, filter=_TOLD) for each in found] for name, found in whole.items()}
        documents = [
            attrs.asdict(each) | {"content": person.contents.get(each.document_id)}
            for each in person.documents.values()
        ]
        users = [user for user in identity.users.values() if user.user_id == mine]
        people = [attrs.asdict(user) | {"email": user.email.text} for user in users]
        addresses = [{"address_key": key} for key, owner in identity.addresses.items() if owner == mine]
        answers = [
            {"command": command, "key": key, "created_at": at, "answer": kept.answer}
            for (command, key), (at, kept) in person.answers.items()
        ]
        return rows | {
            "import_document": documents,
            "person": people,
            "address": addresses,
            "idempotency": answers,
        }
