/** What a terminal would leave of text with carriage returns, without its colour codes. */
export function plainText(text: string): string {
  // eslint-disable-next-line no-control-regex -- ESC begins what a terminal obeys
  const plain = text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '');
  return plain.includes('\r')
    ? plain
        .replace(/\r\n/g, '\n')
        .split('\n')
        .map(line => line.split('\r').filter(Boolean).pop() ?? '')
        .join('\n')
    : plain;
}
