import { type RefObject, useEffect, useRef } from 'react'

/** Gives the focus back to what opened something, once that is closed and the opener is there again. */
export function useReturnFocus(isOpen: boolean, opener: RefObject<HTMLElement | null>): void {
  const wasOpen = useRef(isOpen)
  useEffect(() => {
    if (wasOpen.current && !isOpen) opener.current?.focus()
    wasOpen.current = isOpen
  }, [isOpen, opener])
}
