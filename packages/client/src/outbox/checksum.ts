/**
 * A checksum of stored text, 14 hex digits, so that damage that is still readable is noticed. It guards against bad
 * disks, not against people. Source: cyrb53, two 32-bit multiply-xor lanes (public domain).
 */
export function checksum(text: string): string {
  let left = 0xdeadbeef
  let right = 0x41c6ce57
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    left = Math.imul(left ^ unit, 2_654_435_761)
    right = Math.imul(right ^ unit, 1_597_334_677)
  }
  left = Math.imul(left ^ (left >>> 16), 2_246_822_507) ^ Math.imul(right ^ (right >>> 13), 3_266_489_909)
  right = Math.imul(right ^ (right >>> 16), 2_246_822_507) ^ Math.imul(left ^ (left >>> 13), 3_266_489_909)
  return (4_294_967_296 * (2_097_151 & right) + (left >>> 0)).toString(16).padStart(14, '0')
}
