const FOUND = 'codesave-found';
const HERE = 'codesave-found-here';

const marked = new Map<object, { ranges: Range[]; here: Range | null }>();

/** Marks what `owner` found in the page, in place of what it marked before. */
export function mark(owner: object, ranges: Range[], here: Range | null): void {
  if (ranges.length) {
    marked.set(owner, { ranges, here });
  } else {
    marked.delete(owner);
  }
  // A browser that has none yet still goes from match to match.
  if (typeof Highlight === 'undefined') {
    return;
  }
  const all = [...marked.values()];
  const highlight = new Highlight();
  all.forEach(one => one.ranges.forEach(range => highlight.add(range)));
  CSS.highlights.set(FOUND, highlight);
  const current = new Highlight(...all.flatMap(one => one.here ?? []));
  current.priority = 1;
  CSS.highlights.set(HERE, current);
}

/** Where the text that `node` shows matches, also across the tokens of a line. */
export function rangesOf(node: Element | null, query: RegExp): Range[] {
  if (!node) {
    return [];
  }
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  const starts: number[] = [];
  let whole = '';
  let line: Element | null = null;
  while (walker.nextNode()) {
    const text = walker.currentNode as Text;
    const own = text.parentElement!.closest('.cm-line, pre, p, td, th, li, div');
    if (line && own !== line) {
      whole += '\n';
    }
    line = own;
    starts.push(whole.length);
    texts.push(text);
    whole += text.data;
  }
  let i = 0;
  const place = (offset: number): [Text, number] => {
    while (i + 1 < starts.length && starts[i + 1] <= offset) {
      i++;
    }
    return [texts[i], Math.min(offset - starts[i], texts[i].length)];
  };
  const found: Range[] = [];
  for (const match of whole.matchAll(query)) {
    if (match[0]) {
      const range = document.createRange();
      range.setStart(...place(match.index));
      const [last, end] = place(match.index + match[0].length - 1);
      range.setEnd(last, Math.min(end + 1, last.length));
      found.push(range);
    }
  }
  return found;
}

/** Scrolls whatever stands around `range` until it is in view, where it is not. */
export function centre(range: Range): void {
  let node = range.startContainer.parentElement;
  for (; node && node !== document.body; node = node.parentElement) {
    if (node.scrollHeight <= node.clientHeight + 1 || node.clientHeight === 0) {
      continue;
    }
    const [own, around] = [range.getBoundingClientRect(), node.getBoundingClientRect()];
    if (own.top < around.top || own.bottom > around.top + node.clientHeight) {
      node.scrollTop += own.top - around.top - node.clientHeight / 3;
    }
  }
}
