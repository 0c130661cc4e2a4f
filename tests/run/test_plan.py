from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.errors import UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.template import Location, Template, TemplateSource, Value, Variable
from asyncpipe.run import plan

DEBIAN = OsIdentity(os_type="debian", os_version="12")
HERE = Location(file="t.pkr.hcl", line=3)


def variable(name: str, *, sensitive: bool = False, is_set: bool = True) -> Variable:
    return Variable(
        name=name, value="x", sensitive=sensitive, is_set=is_set, origin="default", location=HERE
    )


def request(tmp_path: Path, *variables: Variable, **attributes: Value) -> plan.Request:
    source = TemplateSource(
        type="null",
        label="demo",
        build_name=None,
        attributes=attributes,
        locations={},
        location=HERE,
    )
    template = Template(
        path=Path("templates/demo"),
        folder=Path("templates/demo"),
        kind="hcl2",
        files=(),
        sha256_hex="0" * 64,
        variables={one.name: one for one in variables},
        sources=(source,),
    )
    return plan.Request(
        unit="demo",
        template=template,
        source=source,
        identity=DEBIAN,
        timestamp="20261123T170000Z",
        run_directory=tmp_path / "run" / "demo",
        working_directory=tmp_path,
        packer_path=Path("/usr/bin/packer"),
        packer_version="1.6.6",
        environment={"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "k", "GITHUB_TOKEN": "t"},
    )


def test_a_template_that_has_the_variable_gets_an_output_folder_of_its_own(tmp_path: Path) -> None:
    one = plan.expand(request(tmp_path, variable("output_directory"), variable("run_timestamp")))
    assert one.output_directory == tmp_path / "run" / "demo" / "output"
    assert f"-var=output_directory={one.output_directory}" in one.packer_arguments
    assert "-var=run_timestamp=20261123T170000Z" in one.packer_arguments
    assert not one.output_directory.exists()  # builders refuse a folder that is there


def test_a_fixed_output_folder_is_used_when_it_is_empty_and_refused_when_not(
    tmp_path: Path,
) -> None:
    wanted = request(tmp_path, output_directory="exports/demo")
    assert plan.expand(wanted).output_directory == tmp_path / "exports/demo"
    (tmp_path / "exports/demo").mkdir(parents=True)
    (tmp_path / "exports/demo/old.xva").touch()
    with pytest.raises(UsageError, match="is not empty"):
        plan.expand(wanted)


def test_the_default_output_folder_is_packers(tmp_path: Path) -> None:
    assert plan.expand(request(tmp_path)).output_directory == tmp_path / "output-demo"


def test_packer_does_not_get_the_keys_of_our_upload_unless_asked(tmp_path: Path) -> None:
    wanted = request(tmp_path)
    assert set(plan.expand(wanted).packer_environment) == {"PATH", "ASYNCPIPE_PYTHON"}
    asked = replace(wanted, packer_environment=("AWS_*",))
    assert plan.expand(asked).packer_environment["AWS_SECRET_ACCESS_KEY"] == "k"


def test_the_build_password_goes_by_the_environment_and_only_where_declared(
    tmp_path: Path,
) -> None:
    made = {"build_password": "s3cr3t", "build_password_hash": "$6$x"}
    wanted = request(tmp_path, variable("build_password", sensitive=True))
    one = plan.expand(replace(wanted, build_secrets=made))
    assert one.packer_environment["PKR_VAR_build_password"] == "s3cr3t"
    assert "PKR_VAR_build_password_hash" not in one.packer_environment
    assert "s3cr3t" not in " ".join(one.packer_arguments)
    assert "s3cr3t" not in repr(one)


def test_a_build_password_of_the_environment_is_kept_and_gets_no_hash_of_another(
    tmp_path: Path,
) -> None:
    made = {"build_password": "made", "build_password_hash": "$6$made"}
    declared = [variable(name, sensitive=True) for name in made]
    wanted = replace(request(tmp_path, *declared), build_secrets=made)
    chosen = {**wanted.environment, "PKR_VAR_build_password": "chosen"}
    one = plan.expand(replace(wanted, environment=chosen))
    assert one.packer_environment["PKR_VAR_build_password"] == "chosen"
    assert "PKR_VAR_build_password_hash" not in one.packer_environment


def test_a_sensitive_variable_on_the_command_line_is_refused(tmp_path: Path) -> None:
    wanted = request(tmp_path, variable("remote_password", sensitive=True))
    with pytest.raises(UsageError) as caught:
        plan.expand(replace(wanted, variables={"remote_password": "hunter2"}))
    assert "PKR_VAR_remote_password" in caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_a_required_variable_without_a_value_is_told_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"t\.pkr\.hcl:3: no value for variable needed"):
        plan.expand(request(tmp_path, variable("needed", is_set=False)))


def test_a_further_attempt_gets_a_fresh_output_folder_everywhere(tmp_path: Path) -> None:
    one = plan.expand(request(tmp_path, variable("output_directory")))
    again = plan.moved(one, tmp_path / "run" / "demo.2")
    assert again.output_directory == tmp_path / "run" / "demo.2" / "output"
    assert f"-var=output_directory={again.output_directory}" in again.packer_arguments
    assert str(one.output_directory) not in " ".join(again.packer_arguments).replace(
        str(again.output_directory), ""
    )


def test_an_unknown_system_is_published_under_its_unit() -> None:
    unknown = OsIdentity()
    assert plan.folder_key(unknown, "x", "", "20261123T170000Z").startswith("templates/unknown-x/")


@given(st.text(max_size=200))
def test_whatever_the_name_the_key_is_one_of_ours(text: str) -> None:
    for variant in ("", "web", "x" * 40):
        key = plan.folder_key(OsIdentity(os_type=text or "x"), "unit", variant, "20261123T170000Z")
        assert store_keys.is_folder(key), key
        assert variant in key.split("/")[1]


def test_units_are_named_by_their_path_below_templates(tmp_path: Path) -> None:
    template = request(tmp_path).template
    paths = ["templates/debian/12", "templates/debian/13", "x/disk.pkr.hcl", "templates/debian/12"]
    names = plan.unit_names([replace(template, path=Path(path)) for path in paths], tmp_path)
    assert names == ["debian-12-1", "debian-13", "x-disk", "debian-12-2"]


def test_the_largest_xva_is_estimated_from_the_disks_that_are_asked_for(tmp_path: Path) -> None:
    single = request(tmp_path, disk_size=1000).template
    several = request(tmp_path, disks=[{"disk_size": 1000}, {"disk_size": 500}]).template
    size_bytes, larger_bytes = plan.expected_size_bytes(single), plan.expected_size_bytes(several)
    assert size_bytes is not None
    assert larger_bytes is not None
    assert 1000 << 20 < size_bytes < larger_bytes
    assert plan.expected_size_bytes(request(tmp_path).template) is None
