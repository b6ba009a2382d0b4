import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import services from '@pulumi/pulumi/proto/language_grpc_pb.js';
import messages from '@pulumi/pulumi/proto/language_pb.js';
import { serveProgram } from '../../../api/engine/program.ts';

describe('the program of an engine', function () {
  this.timeout(60_000);

  it('is never a success when the engine is gone', async () => {
    let begun = 0;
    const served = await serveProgram(async () => {
      begun += 1;
      return {};
    });
    const client = new services.LanguageRuntimeClient(`127.0.0.1:${served.port}`, grpc.credentials.createInsecure());
    try {
      const request = new messages.RunRequest().setProject('operations').setStack('gone');
      // Nobody listens there: as an engine that ended a moment ago.
      request.setMonitorAddress('127.0.0.1:1');
      const failure = await new Promise<string>((resolve) =>
        client.run(request, (error, answer) => resolve(error?.message ?? answer.getError())),
      );
      assert.notEqual(failure, '');
      assert.equal(begun, 0);
      await served.ended;
    } finally {
      client.close();
      served.close();
    }
  });
});
