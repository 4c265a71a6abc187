//! Which part of the loop answers which request.

use super::Loop;
use crate::node::Request;

impl Loop {
    /// Answers a request at once, after the commit, or when there is an answer.
    pub(super) fn dispatch(&mut self, request: Request) {
        match request {
            Request::Status { reply } => drop(reply.send(Ok(self.status()))),
            Request::Ready { reply } => drop(reply.send(self.ready())),
            Request::Metrics { reply } => drop(reply.send(self.metrics())),
            Request::Doctor { reply } => drop(reply.send(Ok(self.doctor()))),
            Request::Watch { reply } => drop(reply.send(Ok(self.watch()))),
            Request::Homes { reply } => drop(reply.send(Ok(self.homes()))),
            Request::Discovered { wait, reply } => self.discovered(wait, reply),
            Request::LocalPeer { reply } => drop(reply.send(Ok(self.local_peer()))),
            Request::KeyShow { reply } => drop(reply.send(Ok(self.key_show()))),
            Request::RotateKey { reply } => self.rotate_key(reply),
            Request::Backup { passphrase, reply } => self.backup(passphrase, reply),
            Request::Entities { selection, reply } => drop(reply.send(Ok(self.entities(selection)))),
            Request::Entity { entity, reply } => drop(reply.send(self.entity(&entity))),
            Request::UpdateEntity { entity, update, reply } => self.update_entity(&entity, &update, reply),
            Request::Report { reports, reply } => {
                let result = self.report_all(reports);
                self.answer_after(reply, result);
            }
            Request::Attach { reply } => drop(reply.send(Ok(self.commands.attach()))),
            Request::Call { entity, call, reply } => match self.known_entity(&entity) {
                Ok(key) => self.call(key, &call, reply),
                Err(error) => drop(reply.send(Err(error))),
            },
            Request::History { entity, reply } => self.history(&entity, reply),
            Request::Conflicts { all, reply } => self.conflicts(all, reply),
            Request::Conflict { id, reply } => self.conflict(&id, reply),
            Request::Resolve { resolution, reply } => {
                let result = self.resolve(&resolution);
                self.answer_after(reply, result);
            }
            Request::Strategy { reply } => drop(reply.send(Ok(self.strategy()))),
            Request::SetStrategy { strategy, reply } => {
                let result = self.set_strategy(&strategy);
                self.answer_after(reply, result);
            }
            Request::ResetStrategy { pattern, reply } => {
                let result = self.reset_strategy(pattern.as_deref());
                self.answer_after(reply, result);
            }
            Request::Registry { reply } => drop(reply.send(Ok(self.registry()))),
            Request::Registered { entity_id, reply } => drop(reply.send(self.registered(&entity_id))),
            Request::Register { register, reply } => {
                let result = self.register(&register);
                self.answer_after(reply, result);
            }
            Request::ChangeRegistered { entity_id, change, reply } => {
                let result = self.change_registered(&entity_id, &change);
                self.answer_after(reply, result);
            }
            Request::Unregister { entity_id, reply } => {
                let result = self.unregister(&entity_id);
                self.answer_after(reply, result);
            }
            Request::Share { share, reply } => {
                let result = self.share(&share);
                self.answer_after(reply, result);
            }
            Request::Unshare { unshare, reply } => {
                let result = self.unshare(&unshare);
                self.answer_after(reply, result);
            }
            Request::Audience { entity_id, audience } => self.set_audience(&entity_id, audience),
            Request::Audiences { all } => self.set_audiences(all),
            Request::Meet { home, address, anew, reply } => self.meet(&home, address.as_deref(), anew, reply),
            Request::Reach { id, address, reply } => self.reach_now(&id, address.as_deref(), reply),
            Request::ReachAll { reply } => {
                self.reach_all();
                drop(reply.send(Ok(())));
            }
            Request::Part { home, reply } => drop(reply.send(self.part(&home))),
            Request::Same { reply } => self.same(reply),
            Request::PairShow { reply } => drop(reply.send(self.pair_show())),
            Request::PairAccept { code, with, reply } => self.pair_accept(&code, with.as_deref(), reply),
            Request::PairCancel { reply } => {
                self.pair_cancel();
                drop(reply.send(Ok(())));
            }
            Request::Invite { reply } => drop(reply.send(self.invite())),
            Request::AcceptLink { link, reply } => self.accept_link(&link, reply),
            Request::Unpair { home, reply } => {
                let result = self.unpair(&home);
                self.answer_after(reply, result);
            }
        }
    }
}
