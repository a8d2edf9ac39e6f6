/**
 * False for text with U+0000 or half of a surrogate pair: PostgreSQL refuses the one, UTF-8 cannot spell the other,
 * and either would come back changed. Rules: VAL-2.
 */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000')
}

/** Bytes of a well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    // Half of a surrogate pair counts 2, so that the pair has its 4; every other unit from U+0800 has 3.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2
  }
  return bytes
}

/** Whether a well-formed text has at most so many bytes in UTF-8. Most texts are so short that nobody has to count. */
export function fitsBytes(text: string, most: number): boolean {
  return 3 * text.length <= most || (text.length <= most && utf8Length(text) <= most)
}
