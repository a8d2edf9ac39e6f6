import { Alert, Button, Center, Stack } from '@mantine/core'
import { toErrorInfo } from '@holdfast/react'
import { Component, type ReactElement, type ReactNode } from 'react'

import { IconAlertTriangle } from './icons.ts'

/** What is shown instead when something below fails, such as a database that cannot be opened. */
export class Failure extends Component<{ readonly children: ReactNode }, { readonly error: unknown }> {
  override state: { readonly error: unknown } = { error: null }

  static getDerivedStateFromError(error: unknown): { readonly error: unknown } {
    return { error }
  }

  override render(): ReactNode {
    return this.state.error === null ? this.props.children : <Sorry error={this.state.error} />
  }
}

function Sorry({ error }: { readonly error: unknown }): ReactElement {
  const { code, message } = toErrorInfo(error)
  return (
    <Center h="100%" p="md">
      <Alert color="red" icon={<IconAlertTriangle size={20} />} title="Stockroom cannot go on" maw={460}>
        <Stack align="flex-start">
          {message} {code === null ? '' : `(${code})`} What was saved is still on this device.
          <Button size="xs" color="red" onClick={() => location.reload()}>
            Try again
          </Button>
        </Stack>
      </Alert>
    </Center>
  )
}
