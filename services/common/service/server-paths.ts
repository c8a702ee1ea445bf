// An absolute path with a directory in it. What stands after :// or within a word is a URL or a relative path.
const PATH = /(?<![\w:/.~-])\/(?:[^\s/:'"`,;()<>]+\/)+([^\s/:'"`,;()<>]*)/g;

/** `text` for agents: an absolute path of this machine becomes its last name, since where things lie is no matter of theirs. */
export function withoutDirectories(text: string): string {
  return text.replaceAll(PATH, "$1");
}
