/** Pixels of the longer side. */
const longest = 1_280

/** Of 1, as an encoder of JPEG takes it. */
const quality = 0.8

/** A photo as it is kept: small enough for a bad line, large enough to read a label on it. Throws what is no picture. */
export async function shrinkPhoto(file: Blob): Promise<Blob> {
  const picture = await createImageBitmap(file).catch(() => undefined)
  if (picture === undefined) throw new Error('This file is no picture that the browser can show.')
  const scale = Math.min(1, longest / Math.max(picture.width, picture.height))
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale))
  canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height)
  picture.close()
  return canvas.convertToBlob({ type: 'image/jpeg', quality })
}
