"""The software bill of materials of a release, in CycloneDX's JSON: what the wheel is, and every package it needs."""

from __future__ import annotations

from importlib import metadata
from itertools import chain

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.licences import packages, project


def bill(version: str) -> str:
    """The bill of durable_fsm in this version.

    Raises:
        ValueError: it does not have the form of CycloneDX.
    """
    licences = LicenseFactory()

    def component(name: str, version: str, licence: str, kind: ComponentType = ComponentType.LIBRARY) -> Component:
        address = PackageURL("pypi", name=name, version=version)
        return Component(
            type=kind,
            name=name,
            version=version,
            purl=address,
            bom_ref=str(address),
            licenses=[licences.make_from_string(licence)],
        )

    parts = {one.name: component(one.name, one.version, one.licence) for one in packages()}
    ours = component("durable-fsm", version, project()["license"])
    found = Bom(components=parts.values())
    found.metadata.component = ours
    direct = [*project()["dependencies"], *chain(*project()["optional-dependencies"].values())]
    for part, requirements in [(ours, direct), *((part, metadata.requires(name)) for name, part in parts.items())]:
        wanted = {canonicalize_name(Requirement(one).name) for one in requirements or []}
        found.register_dependency(part, [parts[one] for one in sorted(wanted & parts.keys())])
    text = JsonV1Dot6(found).output_as_string(indent=2)
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"The bill of materials is not valid CycloneDX: {problem}")
    return text
