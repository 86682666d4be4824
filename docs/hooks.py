"""Hooks of MkDocs: documents outside docs/ become pages, and links between documents work in the site and on GitHub.

A page has the path of its document in the repository, without `docs/`. Links are written for GitHub, relative to the
document; they are rewritten to the page, and a link to a file that has no page becomes plain text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = ("README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/*/README.md")
README = "README.md"
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:)([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents outside docs/ to the pages."""
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), content=path.read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page that lead to another document of the repository."""
    uri = page.file.src_uri
    document = uri if page.file.generated_by else f"docs/{uri}"

    def rewrite(match: re.Match[str]) -> str:
        image, text, path, anchor = match[1], match[2], match[3], match[4] or ""
        if not path:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(document), path))
        target, anchor = ("docs/index.md", "") if target == README else (target, anchor)
        target = target.removeprefix("docs/")
        if files.get_file_from_path(target) is None and (ROOT / posixpath.join("docs", target)).suffix != ".md":
            return match[0] if image else text
        return f"{image}[{text}]({posixpath.relpath(target, posixpath.dirname(uri) or '.')}{anchor})"

    return LINK.sub(rewrite, markdown)
