use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::time::timeout;

use super::broker::Broker;
use super::support::PATIENCE;

/// A plain AMQP client, like the original's programs.
pub(super) struct Raw {
    channel: Channel,
    connection: Connection,
}

impl Raw {
    pub(super) async fn connect(broker: &Broker) -> Self {
        let connection = Connection::connect(&broker.address, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { channel, connection }
    }

    pub(super) async fn declare(&self, queue: &str, durable: bool) {
        let options = QueueDeclareOptions { durable, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    }

    pub(super) async fn delete(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    /// Number of ready messages.
    pub(super) async fn count(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count()
    }

    pub(super) async fn publish(&self, queue: &str, body: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = self.channel.basic_publish("".into(), queue.into(), options, body, properties).await.unwrap();
        assert_eq!(confirm.await.unwrap(), lapin::Confirmation::Ack(None));
    }

    /// Takes the next message and disconnects, like a killed worker.
    pub(super) async fn die_with_next_message(self, queue: &str) {
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer = self.channel.basic_consume(queue.into(), "".into(), options, arguments).await.unwrap();
        timeout(PATIENCE, consumer.next()).await.expect("no message arrived").unwrap().unwrap();
        self.connection.close(320, "killed".into()).await.unwrap();
    }

    /// Takes the next message and rejects it without requeue.
    pub(super) async fn reject(&self, queue: &str) {
        let delivery = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap().unwrap();
        delivery.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    }

    /// Takes the next message and acknowledges it.
    pub(super) async fn take(&self, queue: &str) -> Delivery {
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut consumer = self.channel.basic_consume(queue.into(), "".into(), options, arguments).await.unwrap();
        let delivery = timeout(PATIENCE, consumer.next()).await.expect("no message arrived").unwrap().unwrap();
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        delivery
    }
}

/// The message properties that the original sets.
pub(super) fn named(message_id: &str) -> BasicProperties {
    BasicProperties::default().with_message_id(message_id.into())
}
