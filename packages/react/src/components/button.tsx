import type { ButtonHTMLAttributes, ReactElement, Ref } from 'react'

import { classNames } from './class-names.ts'

/** What a button takes beside what every button takes. */
export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly tone?: 'plain' | 'primary' | 'danger' | 'quiet'
  /** Does nothing for now. Not `disabled`, which would take the focus away from whoever pressed it. */
  readonly isBusy?: boolean
  /** Under a name of its own, because React 18 gives no `ref` to functions. */
  readonly buttonRef?: Ref<HTMLButtonElement>
}

/** A button of the components. */
export function Button({
  tone = 'plain',
  isBusy = false,
  className,
  buttonRef,
  ...props
}: ButtonProps): ReactElement {
  return (
    <button
      type="button"
      ref={buttonRef}
      {...props}
      aria-disabled={isBusy || undefined}
      onClick={isBusy ? undefined : props.onClick}
      className={classNames('holdfast-button', `holdfast-button--${tone}`, className)}
    />
  )
}
